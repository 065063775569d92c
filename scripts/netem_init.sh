#!/bin/sh
# The first process of the guest that scripts/netem_image.sh makes: two namespaces that are two hosts to whoever logs in.
#
# Host a is 10.0.2.21 and host b 10.0.2.22, on a bridge with QEMU's card; between them runs the data link,
# 10.217.1.11 and 10.217.1.12.  Each has an sshd of its own, at port 22 of its own address.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /run/sshd
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
for module in $(cat /etc/netem_modules); do modprobe "$module"; done

ip link set lo up
ip link add name br0 type bridge
ip link set br0 up
for card in /sys/class/net/e*; do
  ip link set dev "${card##*/}" master br0 up
done

host() { # NAME NUMBER
  ip netns add "$1"
  ip link add name "host-$1" type veth peer name manage netns "$1"
  ip link set dev "host-$1" master br0 up
  ip -n "$1" link set lo up
  ip -n "$1" link set manage up
  ip -n "$1" address add "10.0.2.2$2/24" dev manage
}

host a 1
host b 2
ip link add name data netns a type veth peer name data netns b
for pair in a:11 b:12; do
  ip -n "${pair%:*}" address add "10.217.1.${pair#*:}/24" dev data
  ip -n "${pair%:*}" link set data up
  ip netns exec "${pair%:*}" /usr/sbin/sshd -h "/etc/ssh/host_key_${pair%:*}" -o PidFile=none -o UseDNS=no \
    -o UsePAM=no -o PasswordAuthentication=no -o ListenAddress="10.0.2.2$((${pair#*:} - 10))"
done
echo 'netem guest is up'
# It has nothing else to do but to wait for its orphans.
while :; do sleep 3600; done
