#!/bin/sh
# The suite has to bite: a step of the store that is taken away must show as a loss.
# A member of the spool's group has to get through.
chmod 711 "$SCRATCH"
for control in ${CONTROLS:-folder:submit fs:submit fs:group folder:web fs:backup data:daemon}; do
  # No colon in the path: LD_PRELOAD takes it for a separator.
  place=$SCRATCH/$(echo "$control" | tr : -)
  mkdir "$place"
  # Producers in bulk and of the group sync the whole file system, and so what a backup did not.
  unset who
  [ "$control" = fs:backup ] && who="recipe submit backup"
  SCRATCH=$place IMAGES=${CONTROL_IMAGES:-16} CONTROL=$control ${who:+env WHO="$who"} Tests/PowerLoss/powerloss.py ext4 || exit
done
