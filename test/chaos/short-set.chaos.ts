/**
 * The short set of scenarios on real processes, several rings side by side, each with a process of its own that drives it:
 * the proxies between its nodes must not wait for another ring's. Strict about what must never happen, silent about speed,
 * since the machine may run other tests.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { SCENARIOS } from './catalogue.ts';

/** A ring is three processes, and one that drives them; they wait more than they work. */
const RINGS_AT_ONCE = Math.max(2, Math.min(3, availableParallelism() - 1));
/** Of one scenario on a machine that does much else: longer than a ring may take to be whole, so that only one that hangs is ended. */
const SCENARIO_MS_MAX = 900_000;
/** Of all of them. */
const TEST_MS_MAX = 1_800_000;
const MAIN = path.join(import.meta.dirname, 'main.ts');

interface Run {
  readonly code: number | null;
  readonly text: string;
}

const directory = mkdtempSync(path.join(tmpdir(), 'dht-chaos-short-'));
const short = SCENARIOS.filter(({ isShort }) => isShort).map(({ name, about }) => [name, about] as const);

function play(name: string): Promise<Run> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, '--scenario', name, '--busy', '--clients', '3', '--directory', path.join(directory, name)], { stdio: ['ignore', 'pipe', 'pipe'], timeout: SCENARIO_MS_MAX, killSignal: 'SIGKILL' });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => { text += bytes.toString(); });
    child.once('close', (code) => { resolve({ code, text }); });
  });
}

/** The next scenario begins when one of those before it has ended. */
function playAll(): ReadonlyMap<string, Promise<Run>> {
  const runs = new Map(short.map(([name]) => [name, Promise.withResolvers<Run>()]));
  const waiting = [...runs];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next[1].resolve(await play(next[0]));
  };
  for (let i = 0; i < RINGS_AT_ONCE; i++) void lane();
  return new Map([...runs].map(([name, { promise }]) => [name, promise]));
}

const runs = playAll();
afterAll(async () => {
  const ended = await Promise.all(runs.values());
  if (ended.every(({ code }) => code === 0)) rmSync(directory, { recursive: true });
}, TEST_MS_MAX);

test.each(short)('%s: %s', async (name) => {
  const run = await runs.get(name);
  if (run?.code !== 0) throw new Error(`exit code ${String(run?.code)}\n${run?.text ?? ''}`);
  expect(run.text).toContain('Nothing lost');
}, TEST_MS_MAX);
