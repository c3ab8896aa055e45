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

/** Why a request was not served. */
export function refusedLine(operation: string, why: string): string {
  return `refused ${operation} ${why.replace(/\s+/g, ' ')}`;
}

/** Counts refusals of a kind: by operation, code and outcome, or by the error where there was no answer. */
export class Refusals {
  readonly #counts = new Map<string, number>();

  /** Whether the line was one. */
  read(line: string): boolean {
    const match = /^refused (\S+) (.*)$/.exec(line);
    if (match === null) return false;
    const [, operation = '', why = ''] = match;
    const code = /"code":\s*"(\w+)"/.exec(why)?.[1];
    const outcome = /"outcome":\s*"([\w-]+)"/.exec(why)?.[1];
    const kind = `${operation}: ${code ?? why}${outcome === undefined ? '' : `, ${outcome}`}`;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    return true;
  }

  /** The most frequent first. */
  lines(): readonly string[] {
    return [...this.#counts].sort(([, a], [, b]) => b - a).map(([kind, count]) => `${String(count).padStart(6)} refused  ${kind}`);
  }
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
