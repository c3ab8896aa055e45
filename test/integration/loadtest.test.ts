/** The load test's client in plain Node, against a ring of three real processes: what k6 runs too, where it is there. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { isKept, nodeRun, type NodeReport, type NodeScenario } from '../../loadtest/node/node-run.ts';
import { localTarget } from '../../loadtest/runner/local-target.ts';
import type { Target } from '../../loadtest/runner/target.ts';
import type { Profile } from '../../loadtest/lib/profile.ts';

const START_MS_MAX = 60_000;
let target: Target;
let profile: Profile;
let liar: Server | null = null;

beforeAll(async () => {
  profile = JSON.parse(await readFile(path.resolve(import.meta.dirname, '../../loadtest/profiles/smoke.json'), 'utf8')) as Profile;
  target = await localTarget(3);
}, START_MS_MAX);

afterAll(async () => {
  liar?.close();
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

test('a store that keeps nothing, or changes a byte, is found out', async () => {
  let damage: 'forgets' | 'changes' = 'forgets';
  const kept = new Map<string, { readonly body: Buffer; readonly generation: string }>();
  liar = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const url = req.url ?? '';
      if (req.method === 'PUT') {
        kept.set(url, { body: Buffer.concat(chunks), generation: String(req.headers['x-dht-meta-generation']) });
        res.writeHead(201, { 'x-dht-version': `1-1-${'0'.repeat(32)}` }).end();
      } else if (req.method === 'DELETE') {
        kept.delete(url);
        res.writeHead(204).end();
      } else {
        const found = damage === 'changes' ? kept.get(url) : undefined;
        if (found === undefined) return void res.writeHead(404).end();
        found.body.writeUInt8(found.body.readUInt8(4000) ^ 1, 4000);
        res.writeHead(200, { 'x-dht-version': `1-1-${'0'.repeat(32)}`, 'x-dht-meta-generation': found.generation }).end(found.body);
      }
    });
  });
  const url = await new Promise<string>((resolve) => { liar?.listen(0, '127.0.0.1', () => { resolve(`http://127.0.0.1:${(liar?.address() as AddressInfo).port}`); }); });
  expect(await run('smoke', [url])).toMatchObject({ lost: profile.scenarios.smoke.iterations, corrupt: 0 });
  damage = 'changes';
  const report = await run('smoke', [url]);
  expect(report).toMatchObject({ lost: 0, corrupt: profile.scenarios.smoke.iterations });
  expect(isKept(report)).toBe(false);
});
