#!/usr/bin/env php
<?php
// drop.php SPOOL ID JOB: hands the JSON text JOB to the spool. Exit 73: a job of that id waits there already.
declare(strict_types=1);

/** Returns true when the job is on the disk, false when $id waits already. Needs PHP 8.1 for fsync. */
function drop(string $spool, string $id, string $job): bool
{
    umask(0027);
    // A fresh name in tmp/ each time, so that what a crash left there is never in the way.
    $staged = "$spool/tmp/$id." . bin2hex(random_bytes(6));
    $file = @fopen($staged, 'x');
    if ($file === false) {
        throw new RuntimeException("$staged cannot be written");
    }
    try {
        if (fwrite($file, "$job\n") !== strlen($job) + 1 || !fsync($file)) {
            throw new RuntimeException("$staged cannot be written");
        }
        // A rename would replace a job of the same name; link does not.
        if (!@link($staged, "$spool/new/$id.json")) {
            if (file_exists("$spool/new/$id.json")) {
                return false;
            }
            throw new RuntimeException("$spool/new/$id.json cannot be made");
        }
    } finally {
        unlink($staged);
    }
    $folder = fopen("$spool/new", 'r');
    // The file again: on btrfs a folder's alone may return too early.
    if ($folder === false || !fsync($folder) || !fsync($file)) {
        throw new RuntimeException("$spool/new cannot be synced");
    }
    return true;
}

if (!drop($argv[1], $argv[2], $argv[3])) {
    fwrite(STDERR, "drop: {$argv[2]} is waiting already\n");
    exit(73);
}
echo $argv[2], "\n";
