#!/usr/bin/env php
<?php
// A worker: a job per line in, an answer per line out, until the input ends.
ini_set('display_errors', 'stderr'); // a warning goes to the log, not between the answers

function handle(array $job, callable $say): mixed
{
    $say(['progress' => 50, 'stage' => 'greeting']);
    $name = $job['payload']['name'] ?? throw new InvalidArgumentException('payload.name is missing');
    return ['greeting' => "Hello, $name"];
}

while (($line = fgets(STDIN)) !== false) {
    $job = json_decode($line, true);
    $say = fn(array $answer) => fwrite(STDOUT, json_encode(['id' => $job['id']] + $answer) . "\n");
    try {
        $say(['ok' => true, 'result' => handle($job, $say)]);
    } catch (InvalidArgumentException $error) { // the producer's mistake: trying again is pointless
        $say(['ok' => false, 'retry' => false, 'error' => ['code' => 'bad_payload', 'message' => $error->getMessage()]]);
    } catch (Throwable $error) {
        $say(['ok' => false, 'error' => ['code' => get_class($error), 'message' => $error->getMessage()]]);
    }
}
