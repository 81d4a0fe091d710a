#!/usr/bin/busybox sh
# The guest's first process: makes the system that a live test expects, runs /run.sh, and says how that ended.
# busybox's shell prefers its own applets over PATH; Rust's Command does not.
/usr/bin/busybox --install -s /applets
export PATH=/usr/sbin:/usr/bin:/applets HOME=/tmp RUST_BACKTRACE=1 TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
ulimit -n 65536
ip link set lo up
for module in /modules/*.ko; do
    [ -e "$module" ] && insmod "$module"
done
sh /run.sh
echo "VM-RESULT $?"
# The console takes its time; poweroff would drop what it has not sent. stty waits until it has.
stty -F /dev/console sane
poweroff -f
