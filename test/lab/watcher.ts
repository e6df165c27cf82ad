import { spawn, type ChildProcess } from 'node:child_process';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';

/**
 * Reads from a pipe what this process has started and made. The pipe closes when this process is gone, however it ended; then
 * the watcher ends the process groups (SIGINT, 5 s later SIGKILL) and removes the files.
 */
const WATCHER_SCRIPT = `
trap '' INT TERM HUP
groups=' '
while IFS=' ' read -r word value; do
  case $word in
    started) groups="$groups$value " ;;
    ended) groups="\${groups%% $value *} \${groups#* $value }" ;;
    made) set -- "$@" "$value" ;;
  esac
done
signal_all() { for group in $groups; do kill -s "$1" -- "-$group" 2>/dev/null; done; }
any_left() { for group in $groups; do kill -0 -- "-$group" 2>/dev/null && return 0; done; return 1; }
signal_all INT
for second in 1 2 3 4 5; do any_left || break; sleep 1; done
signal_all KILL
rm -rf -- "$@"
`;

let watcher: ChildProcess | undefined;
let watched = 0;

/** Ends the process group led by `pid` if this process dies. Returns what to call when the group has ended by itself. */
export function watchProcessGroup(pid: number): () => void {
  tell(`started ${pid}`);
  watched += 1;
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    tell(`ended ${pid}`);
    release();
  };
}

/** Removes the file or folder if this process dies. Returns what removes it now. */
export function watchPath(path: string): () => Promise<void> {
  tell(`made ${path}`);
  watched += 1;
  let removed = false;
  return async () => {
    if (removed) return;
    removed = true;
    try {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    } finally {
      release();
    }
  };
}

function tell(line: string): void {
  watcher ??= startWatcher();
  watcher.stdin?.write(`${line}\n`);
}

/** A watcher with nothing to watch ends, so that test files in one jest process leave none behind. */
function release(): void {
  watched -= 1;
  if (watched > 0) return;
  watcher?.stdin?.end();
  watcher = undefined;
}

function startWatcher(): ChildProcess {
  // Detached: a Ctrl-C in the terminal reaches this process, not its watcher.
  const child = spawn('/bin/sh', ['-c', WATCHER_SCRIPT, 'keyturn-lab-watcher'], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  (child.stdin as Socket).unref();
  return child;
}
