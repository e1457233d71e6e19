#!/bin/sh
# A few simulated power cuts on ext4, and the control: with one sync taken away from `submit`, losses have to show. The long
# form, with xfs and btrfs, is `make powerloss`. Needs root, FUSE, loop devices and a C compiler.
# A member of the spool's group has to get through.
chmod 711 "$SCRATCH"
mkdir "$SCRATCH/cuts" "$SCRATCH/control"
SCRATCH=$SCRATCH/cuts IMAGES=6 SECONDS=3 Tests/PowerLoss/powerloss.py ext4 || exit
SCRATCH=$SCRATCH/control IMAGES=4 SECONDS=1 CONTROL=folder,file,fs:submit Tests/PowerLoss/powerloss.py ext4
