/**
 * A real process on the real disk, killed at a random moment again and again: all that it printed as durable is there, whole,
 * or something newer. For longer: `KILL_ROUNDS=500 npm run jest -- test/crash/kill`.
 */
import { afterAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { keyAt } from '../unit/storage/store-fixture.ts';
import { killBody, openKillStore } from './kill-store.ts';

const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 8);
const directory = mkdtempSync(path.join(tmpdir(), 'dht-kill-'));
afterAll(() => { rmSync(directory, { recursive: true, force: true }); });

/** Runs a child until it is killed, `afterLines` acknowledged writes on; gives what it printed. */
async function killed(first: number, afterLines: number): Promise<string[]> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'kill-child.ts'), directory, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.split('\n').length > afterLines) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return text.split('\n').slice(0, -1);
}

test(`nothing acknowledged is lost when the process is killed, ${ROUNDS} times`, async () => {
  const acknowledged = new Map<number, number>();
  let next = 1;
  let checkpoints = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (const line of await killed(next, 200 + Math.floor(Math.random() * 1500))) {
      const [k = 0, n = 0] = line.split(' ').map(Number);
      acknowledged.set(k, Math.max(n, acknowledged.get(k) ?? 0));
      next = Math.max(next, n + 100);
    }
    const store = await openKillStore(directory);
    if (store.upkeep().checkpointBytes > 0) checkpoints++;
    for (const [k, n] of acknowledged) {
      const head = store.head(keyAt(k));
      expect(head?.accepted.hlc ?? 0).toBeGreaterThanOrEqual(n);
      if (head?.bodyId === undefined || head.bodyId === null) throw new Error('no body');
      const body = await store.readBody(keyAt(k), head.bodyId, 0, 1e6);
      expect(body?.bytes.equals(killBody(head.accepted.hlc))).toBe(true);
    }
    await store.close();
  }
  expect(acknowledged.size).toBeGreaterThan(200);
  expect(checkpoints).toBeGreaterThan(ROUNDS / 2);
}, 60_000 + ROUNDS * 20_000);
