/** Every scenario of the catalogue has a driver that plays it, and the README says which. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { playedLocally } from '../../chaos/catalogue.ts';
import { playedOnCluster } from '../../chaos/cluster-scenarios.ts';

const MINUTES = 10;
const NUMBERS = Array.from({ length: 30 }, (_, i) => i + 1);
/** Played by neither driver, because it takes a disk that ends the process at an operation of one's choice. */
const SIMULATED = new Map([[23, 'test/crash/every-crash-point.test.ts']]);
const ROOT = path.resolve(import.meta.dirname, '../../..');

interface Row {
  readonly local: readonly string[];
  readonly cluster: readonly string[];
  readonly seconds: string;
}

const names = (cell: string | undefined): readonly string[] => [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '');

const rows: ReadonlyMap<number, Row> = new Map(readFileSync(path.join(ROOT, 'test/chaos/README.md'), 'utf8').split('\n').flatMap((line) => {
  const [number, local, cluster, seconds] = line.split('|').slice(1).map((cell) => cell.trim());
  return /^\d+$/.test(number ?? '') ? [[Number(number), { local: names(local), cluster: names(cluster), seconds: seconds ?? '' }] as const] : [];
}));

const named = (scenarios: readonly { readonly number: number; readonly name: string }[], number: number): readonly string[] => scenarios.filter((scenario) => scenario.number === number).map(({ name }) => name);

describe.each(NUMBERS)('scenario %i', (number) => {
  const local = named(playedLocally(MINUTES), number);
  const cluster = named(playedOnCluster(MINUTES), number);

  test('is played by a driver, or by a test of its own', () => {
    const simulated = SIMULATED.get(number);
    if (simulated === undefined) expect([...local, ...cluster]).not.toEqual([]);
    else expect(existsSync(path.join(ROOT, simulated))).toBe(true);
  });

  test('stands in the README under the names that --list of each driver gives it, with the time it takes', () => {
    expect(rows.get(number)).toMatchObject({ local, cluster });
    if (!SIMULATED.has(number)) expect(rows.get(number)?.seconds).toMatch(/^(\d+(, \d+)*|`--minutes`)$/);
  });
});

test('no two scenarios of a driver have one name, or one could never be chosen', () => {
  for (const scenarios of [playedLocally(MINUTES), playedOnCluster(MINUTES)]) {
    const all = scenarios.map(({ name }) => name);
    expect(new Set(all).size).toBe(all.length);
  }
});
