import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { LyingRing, type Lie } from './lying-ring.ts';
import { runScenario, type Verdict } from './oracle.ts';
import { report } from './report.ts';
import { PROMISED, type Scenario } from './scenario.ts';

const QUIET: Scenario = {
  number: 0, name: 'quiet', about: 'nothing happens', replicas: 3, needs: [],
  steps: async (_ring, stage) => { await stage.observe('nothing', () => stage.pause(1_500), PROMISED); },
};
const TEST_MS_MAX = 60_000;

let directory = '';
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'dht-oracle-')); });
afterEach(() => { rmSync(directory, { recursive: true }); });

async function judge(lie: Lie | null): Promise<Verdict> {
  const ring = await LyingRing.start(lie);
  try {
    return await runScenario(ring, QUIET, { seed: 3, clients: 6, directory, print: () => undefined, wholeMsMax: 5_000, auditMsMax: 500 });
  } finally {
    await ring.stop();
  }
}

test('a ring that keeps its promises is found to keep them, and the report says what was done', async () => {
  const verdict = await judge(null);
  expect(verdict.wrong).toEqual([]);
  const text = report({ startedAt: 'now', command: 'chaos', driver: 'memory' }, [{ kind: 'ran', verdict, keptAt: null }]);
  expect(text).toContain('| quiet | 3 |');
  expect(text).toContain('every fault is over');
}, TEST_MS_MAX);

test.each<[Lie, RegExp]>([
  ['lost-write', /is not linearizable|does not list/],
  ['stale-read', /is not linearizable/],
  ['resurrected-delete', /is not linearizable|is read at rest/],
  ['corrupt-byte', /that nobody wrote/],
  ['two-rings', /two rings/],
  ['missing-replica', /lack a copy on a replica/],
  ['unavailable', /requests not answered/],
  ['crashed-node', /ended with code 70/],
  ['unhandled-rejection', /unhandledRejection/],
  ['hoarded-files', /open files/],
])('the oracle reports the planted bug %s', async (lie, what) => {
  const { wrong } = await judge(lie);
  expect(wrong.join('\n')).toMatch(what);
}, TEST_MS_MAX);
