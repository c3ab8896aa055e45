/** The load test's client in plain Node, against a ring of three real processes: what k6 runs too, where it is there. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isKept, nodeRun, type NodeReport, type NodeScenario } from '../../loadtest/node/node-run.ts';
import { findK6 } from '../../loadtest/runner/k6-program.ts';
import { localTarget } from '../../loadtest/runner/local-target.ts';
import type { Target } from '../../loadtest/runner/target.ts';
import type { Profile } from '../../loadtest/lib/profile.ts';
import { LyingStore } from '../support/lying-store.ts';

const START_MS_MAX = 60_000;
let target: Target;
let profile: Profile;

beforeAll(async () => {
  profile = JSON.parse(await readFile(path.resolve(import.meta.dirname, '../../loadtest/profiles/smoke.json'), 'utf8')) as Profile;
  target = await localTarget(3);
}, START_MS_MAX);

afterAll(async () => {
  await target.stop();
}, START_MS_MAX);

const run = (scenario: NodeScenario, urls: readonly string[] = target.baseUrls): Promise<NodeReport> => nodeRun({ scenario, urls, token: '', profile, seed: 1 });

test('smoke: what is put is there, what is deleted is not', async () => {
  const report = await run('smoke');
  expect(report.details).toEqual([]);
  expect(report.right).toBe(2 * profile.scenarios.smoke.iterations);
  expect(isKept(report)).toBe(true);
});

test('read-your-writes: each read through another node shows the write before it', async () => {
  const { users, iterations } = profile.scenarios['read-your-writes'];
  const report = await run('read-your-writes');
  expect(report.details).toEqual([]);
  expect(report.right).toBe(3 * users * iterations);
  expect(isKept(report)).toBe(true);
});

test.each([['forgets', 'lost'], ['changes', 'corrupt'], ['goes-back', 'stale']] as const)('a store that %s is found out: %s', async (harm, finding) => {
  const store = await LyingStore.start(harm);
  try {
    const report = await run('read-your-writes', [store.url]);
    expect(report[finding]).toBeGreaterThan(0);
    expect(isKept(report)).toBe(false);
  } finally {
    store.stop();
  }
});

describe('with k6', () => {
  const k6 = findK6(process.env);
  const withK6 = k6.kind === 'found' ? test : test.skip;
  const MAIN = path.resolve(import.meta.dirname, '../../loadtest/runner/main.ts');
  const K6_MS_MAX = 120_000;

  withK6.each([
    ['steady', 'none', 0, ': passed'], ['steady', 'forgets', 1, 'BROKEN  lost_objects'], ['steady', 'changes', 1, 'BROKEN  corrupt_objects'], ['read-your-writes', 'goes-back', 1, 'BROKEN  stale_reads'],
  ] as const)('%s on a store whose harm is %s ends with exit code %d', async (scenario, harm, exitCode, line) => {
    const store = await LyingStore.start(harm);
    try {
      const { status, text } = await loadtest(scenario, '--profile', 'smoke', '--url', store.url, '--seconds', '4', '--rate', '20', '--no-verify');
      expect(text).toContain(line);
      expect(status).toBe(exitCode);
    } finally {
      store.stop();
    }
  }, K6_MS_MAX);

  withK6('what an earlier run had acknowledged, and is gone since, is found out by verify', async () => {
    const store = await LyingStore.start('none');
    const directory = await mkdtemp(path.join(os.tmpdir(), 'dht-loadtest-'));
    try {
      const keysFile = path.join(directory, 'acknowledged.json');
      await writeFile(keysFile, JSON.stringify([['load/steady/1/k0', 1, `1-1-${'0'.repeat(32)}`]]));
      const { status, text } = await loadtest('verify', '--profile', 'smoke', '--url', store.url, '--keys-file', keysFile);
      expect(text).toContain('BROKEN  lost_objects');
      expect(status).toBe(1);
    } finally {
      store.stop();
      await rm(directory, { recursive: true });
    }
  }, K6_MS_MAX);

  async function loadtest(...args: readonly string[]): Promise<{ readonly status: number | null; readonly text: string }> {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    const [status] = await once(child, 'close') as [number | null];
    return { status, text };
  }
});
