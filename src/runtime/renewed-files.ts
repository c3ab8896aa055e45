/**
 * Files that are replaced while the program runs: a certificate that is renewed, a mounted Secret. They are read again
 * every RENEWAL_MS, by content, because a link in a mounted volume changes without any event that every file system tells.
 *
 * Files that belong together (a certificate and its key) are read and taken together: a pair of which only one half is
 * new can't be used, so the old pair stays until both are there. What can't be read or used is logged once.
 */
import type { Clock } from '../ports/clock.ts';
import type { LocalFiles } from '../ports/local-files.ts';
import type { Log } from '../ports/log.ts';

export interface RenewedFilesDeps {
  readonly clock: Clock;
  readonly files: Pick<LocalFiles, 'read'>;
  readonly log: Log;
}

export interface FilesInUse {
  /** As the log names them. */
  readonly what: string;
  readonly paths: readonly string[];
  readonly bytesMax: number;
  /** Throws for contents that can't be used; then those before stay in use. */
  readonly use: (contents: readonly Buffer[]) => void;
}

/** Milliseconds between two looks: a few kilobytes are read, and a certificate is renewed days before it ends. */
export const RENEWAL_MS = 5_000;

/** Reads and uses the files, or rejects with what is wrong with them; from then on as they are replaced. */
export async function useRenewed(deps: RenewedFilesDeps, inUse: FilesInUse): Promise<void> {
  const first = await contentsOf(deps, inUse);
  inUse.use(first);
  let last = first;
  let told: string | null = null;
  const look = async (): Promise<void> => {
    const { what } = inUse;
    try {
      const contents = await contentsOf(deps, inUse);
      if (contents.every((bytes, i) => last[i]?.equals(bytes) === true)) return;
      inUse.use(contents);
      last = contents;
      told = null;
      deps.log.info('Replaced files are in use', { what });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      if (detail !== told) deps.log.warn('Replaced files can not be used; those before stay in use', { what, detail });
      told = detail;
    }
  };
  const lookLater = (): void => { deps.clock.after(RENEWAL_MS, () => { void look().then(lookLater); }); };
  lookLater();
}

const contentsOf = ({ files }: RenewedFilesDeps, { paths, bytesMax }: FilesInUse): Promise<readonly Buffer[]> => Promise.all(paths.map((path) => files.read(path, bytesMax)));
