/**
 * What a run prints for the one who started it: each acknowledged write, so that `verify` can ask for it afterwards. Names
 * of a load have no spaces. Of a key only the newest acknowledged version counts, and nothing once a delete was asked for.
 */
import { compareVersions } from './answers.ts';

export const PREPARED_LINE = 'prepared';

export type Acknowledged = readonly [key: string, generation: number, version: string];

export function ackedLine(key: string, generation: number, version: string): string {
  return `acked ${key} ${generation} ${version}`;
}

export function removedLine(key: string): string {
  return `removed ${key}`;
}

export class AcknowledgedWrites {
  readonly #newest = new Map<string, Acknowledged>();
  readonly #removed = new Set<string>();

  /** Whether the line was one of these. */
  read(line: string): boolean {
    if (line === PREPARED_LINE || line === '') return true;
    const [word, key = '', generation = '', version = ''] = line.split(' ');
    if (word === 'removed') {
      this.#removed.add(key);
      return true;
    }
    if (word !== 'acked' || version === '') return false;
    const known = this.#newest.get(key);
    if (known === undefined || compareVersions(version, known[2]) > 0) this.#newest.set(key, [key, Number(generation), version]);
    return true;
  }

  all(): readonly Acknowledged[] {
    return [...this.#newest.values()].filter(([key]) => !this.#removed.has(key));
  }
}
