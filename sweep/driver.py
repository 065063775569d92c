"""The sweep itself: plan, prepare, run condition by condition, report.

Both front ends call :func:`sweep`; what differs between them is the screen and who may cancel.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from stage_runtime.formats.row import Row
from sweep.asides import Asides, title_of
from sweep.campaign import Campaign, choose_folder
from sweep.closing import EXIT_OK, close_sweep
from sweep.condition import ConditionOutcome, ConditionRecord
from sweep.definitions import CAMPAIGN_FILE, agree, definitions_of
from sweep.errors import OptionError
from sweep.estimate import Estimator
from sweep.field import Field
from sweep.interrupt import Control
from sweep.journal import Journal, read_rows
from sweep.lanes import Lane
from sweep.locks import hold_devices
from sweep.matrix import ConditionPlan, Keep, PlannedCell, cell_for, keep_every
from sweep.options import Options
from sweep.places import CHECKOUT, LOCKS
from sweep.plan import Prepared, check_first, dry_run, plan, resume_line
from sweep.progress import Screen, Tally, clock
from sweep.provenance import control_provenance, weights_text, without_folders
from sweep.samples import take_up_leftovers
from sweep.schedule import lanes_of
from sweep.secret import new_secret, remove_secrets
from sweep.shares import TimeShares
from sweep.testbed import Testbed
from sweep.transports import rpc_left_out

_IDLE_S = 120


def sweep(
    options: Options,
    testbed: Testbed,
    screen: Screen,
    control: Control,
    *,
    command: Sequence[str],
    field: Field,
    keep: Keep = keep_every,
) -> int:
    """Run the campaign that `options` ask for, or what of its cells `keep` wants, and return the exit status.

    `field` reaches the devices.  Status 0: every run of the plan is in the
    journal as ``ok``; 1: some are not; 3: some could not be run (their reasons are shown, and
    the same command runs them).
    """
    check_first(options, testbed)
    for note in rpc_left_out(options, testbed):
        screen.line(note)
    folder = choose_folder(options)
    agree(folder, definitions_of(options, testbed))
    if options.dry_run:
        dry_run(options, testbed, folder, screen, keep)
        return EXIT_OK
    with Campaign(folder) as campaign:
        field.clear_leftovers(campaign.folder)
        take_up_leftovers(campaign.folder)
        remove_secrets(campaign.folder)
        prepared = plan(options, testbed, campaign.journal_path, screen, keep)
        _write_campaign(campaign, options, testbed, prepared, command)
        screen.line(resume_line(prepared, campaign.folder))
        devices = [testbed.devices[name] for name in prepared.devices]
        with hold_devices(LOCKS, devices, campaign.name), Journal(campaign.journal_path) as journal:
            work = _Sweep(
                options,
                testbed,
                screen,
                control,
                campaign=campaign,
                journal=journal,
                prepared=prepared,
                field=field,
            )
            return work.run()


def _write_campaign(
    campaign: Campaign, options: Options, testbed: Testbed, prepared: Prepared, command: Sequence[str]
) -> None:
    manifests = prepared.manifests
    definitions = agree(campaign.folder, definitions_of(options, testbed))
    campaign.write_json(
        CAMPAIGN_FILE,
        {
            "campaign": campaign.name,
            "options": without_folders(options),
            "command": without_folders(list(command)),
            "chains": definitions.chains,
            "networks": definitions.networks,
            "devices": definitions.devices,
            "shards": {model: {b.name: b.sha256 for b in m.blocks} for model, m in manifests.items()},
            "weights": {model: m.weights for model, m in manifests.items()},
            "control_node": control_provenance(CHECKOUT),
        },
    )


class _Sweep:
    """One invocation's work: the devices, the conditions, the end."""

    def __init__(
        self,
        options: Options,
        testbed: Testbed,
        screen: Screen,
        control: Control,
        *,
        campaign: Campaign,
        journal: Journal,
        prepared: Prepared,
        field: Field,
    ) -> None:
        self._options = options
        self._testbed = testbed
        self._screen = screen
        self._control = control
        self._field = field
        self._campaign = campaign
        self._journal = journal
        self._prepared = prepared
        self._lock = threading.Lock()
        self._estimator = Estimator(testbed, prepared.manifests, read_rows(campaign.journal_path))
        cells = {run.cell.cell_id: run.cell for condition in prepared.left for run in condition.runs}
        seconds = {cell_id: self._estimator.cell_s(cell, options.cell_s) for cell_id, cell in cells.items()}
        self._tally = Tally(seconds, prepared.settling.left)
        self._shares = TimeShares()
        self._asides = Asides(prepared.settling, self._lock, screen.line)
        self._refused: set[tuple[str, int]] = set()
        self._secret_file = Path()
        # A stage that takes part in no cell for a while (`only:` another device) must not give up meanwhile.
        slowest = max(map(self._limit_s, cells.values()), default=0.0)
        self._idle_s = _IDLE_S + 2 * slowest

    def run(self) -> int:
        """Do it all and return the exit status."""
        if self._prepared.left:
            ready = time.monotonic()
            parked = self.make_ready(self._prepared.devices)
            began = time.monotonic()
            self._screen.line(f"devices ready after {clock(began - ready)}")
            self._tally.begin()
            try:
                self._run_lanes(parked)
            finally:
                self._tidy_up()
            if self._tally.done:
                self._screen.line(self._shares.describe(time.monotonic() - began))
        if self._options.report and not self._control.cancelled():
            self._report()
        return self._end()

    def _tidy_up(self) -> None:
        """Leave nothing running on the devices, whatever ended the sweep."""
        left = self._field.tidy_up(self._screen.line, self._control.leaving)
        for device, reason in left.items():
            self._screen.line(f"WARNING: {device} is left to end its stage and clear its links by itself: {reason}")
        self._field.clear_leftovers(self._campaign.folder)

    def _run_lanes(self, parked: Mapping[str, str]) -> None:
        lanes = lanes_of(self._prepared.left, self._testbed)
        folder = self._campaign.folder
        with (
            new_secret(folder) as secret_file,
            self._certificates(folder),
            ThreadPoolExecutor(max(1, len(lanes))) as pool,
        ):
            self._secret_file = secret_file
            for future in [pool.submit(self._run_lane, lane, parked) for lane in lanes]:
                future.result()

    def _certificates(self, folder: Path) -> AbstractContextManager[Path | None]:
        if not self._options.tls:
            return nullcontext()
        try:  # only here, because `direct` runs where the package that makes them may be lacking
            from sweep.certificates import new_certificates  # noqa: PLC0415  (see above)
        except ImportError as exc:
            raise OptionError(f"option `tls`: this Python lacks {exc.name}; remedy: pip install {exc.name}") from exc
        return new_certificates(folder, [self._testbed.devices[name] for name in self._prepared.devices])

    def _run_lane(self, plans: Sequence[ConditionPlan], parked: Mapping[str, str]) -> None:
        """Run a lane; what goes wrong beyond a condition (a full disk) stops the other lanes too."""
        lane = Lane(
            plans,
            parked,
            work=self,
            asides=self._asides,
            control=self._control,
            patience_s=self._options.patience_s,
        )
        try:
            lane.run()
        except BaseException:
            self._control.finish()
            raise

    # What the lanes ask for

    def make_ready(self, devices: tuple[str, ...]) -> dict[str, str]:
        """Make devices ready, at the start and when they were lost; say and give which cannot be, and why."""
        parked = self._field.make_ready(
            devices,
            shards={
                model: (manifest.manifest_id, self._prepared.inputs[model])
                for model, manifest in self._prepared.manifests.items()
            },
            idle_s=self._idle_s,
            folder=self._campaign.folder,
            say=self._screen.line,
            stopping=self._control.stopping,
            cancelled=self._control.cancelled,
        )
        for device, reason in parked.items():
            self._screen.line(f"PARKED {device}: {reason}")
        return parked

    def run_condition(self, plan: ConditionPlan, ending: Sequence[str]) -> ConditionOutcome:
        """Run a condition once."""
        manifests = self._prepared.manifests
        record = ConditionRecord(
            campaign=self._campaign,
            testbed=self._testbed,
            plan=plan,
            cells=[
                cell_for(
                    one,
                    self._testbed,
                    manifest_id=manifests[one.cell.model].manifest_id,
                    inputs_id=self._prepared.inputs[one.cell.model],
                    batches=self._estimator.batches(one.cell, self._options.cell_s),
                    timeout_s=self._limit_s(one.cell),
                    silence_s=self._options.silence_s,
                )
                for one in plan.runs
            ],
            weights={model: weights_text(manifest.weights) for model, manifest in manifests.items()},
            warnings=self._field.warnings(plan.devices),
            journal=self._journal,
            settling=self._prepared.settling,
            lock=self._lock,
            on_row=self._on_row,
            refused=self._refused,
        )
        self._screen.line(f"{title_of(plan)}: {_cells_of(plan)} cells")
        with record:
            run = self._field.condition(record, secret_file=self._secret_file, idle_s=self._idle_s, ending=ending)
            self._control.on_finish(run.stop_after_this_cell)
            return run.run(cancelled=self._control.cancelled)

    def _limit_s(self, cell: PlannedCell) -> float:
        return self._options.timeout_s or self._estimator.limit_s(cell)

    def _on_row(self, row: Row) -> None:
        self._shares.add(row, time.monotonic())
        self._tally.count(row)
        self._estimator.learn(row)
        self._screen.line(self._tally.describe(row))
        self._screen.state(self._tally.state(), self._tally.done, int(self._tally.total.most))

    def _report(self) -> None:
        if not any(True for _ in read_rows(self._campaign.journal_path)):
            return
        done = subprocess.run(
            [sys.executable, "-m", "analysis.front", str(self._campaign.folder.resolve())],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in (done.stdout if done.returncode == 0 else done.stdout + done.stderr).splitlines():
            self._screen.line(line)

    def _end(self) -> int:
        prepared = self._prepared
        closing = close_sweep(prepared.cells, prepared.settling, self._options, self._campaign.journal_path)
        for text in (*(f"NOT RUN: {text}" for text in self._asides.not_run), *closing.lines):
            self._screen.line(text)
        return closing.status


def _cells_of(condition: ConditionPlan) -> int:
    return len({run.cell.cell_id for run in condition.runs})
