import type { BackupProgress } from '../rotation/backup';
import type { Shell } from './shell';
import { note } from './shell';

/** Says on stderr how far a backup or a restore is, a line for each tenth. */
export function backupProgress(shell: Shell): (progress: BackupProgress) => void {
  let said = '';
  return ({ doing, done, total }) => {
    const share = total > 1 ? ` (${Math.floor((done / total) * 10) * 10} % of ${total})` : '';
    const line = `${doing}${share}`;
    if (line !== said) note(shell, line);
    said = line;
  };
}
