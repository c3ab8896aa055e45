/** Nodes that are gone for good, as real processes: killed, their directories removed. */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { RealRing, until, type RealNode } from '../support/real-ring.ts';

const ENTRY_POINT = path.resolve(import.meta.dirname, '../../src/main.ts');
const TEST_MS_MAX = 120_000;
const FILES = Array.from({ length: 30 }, (_, i) => `dir/file ${i}`);

let ring: RealRing;
afterEach(() => ring.stop(), 30_000);

async function ringOf(count: number, flags: readonly string[] = []): Promise<RealNode[]> {
  ring = await RealRing.create({ flags: ['--tokens', '4', '--candidates', '2', ...flags] });
  const nodes: RealNode[] = [];
  for (let i = 0; i < count; i++) nodes.push(await ring.startNew(nodes.slice(0, 1)));
  await until(async () => (await (nodes[0] as RealNode).ring()).phase === 'stable', 20_000, 'the ring is stable');
  return nodes;
}

async function store(through: RealNode): Promise<void> {
  for (const name of FILES) expect((await fetch(through.objectUrl(name), { method: 'PUT', body: `body of ${name}` })).ok).toBe(true);
}

async function expectAll(through: RealNode): Promise<void> {
  for (const name of FILES) expect(await (await fetch(through.objectUrl(name))).text()).toBe(`body of ${name}`);
}

async function lose(node: RealNode): Promise<void> {
  node.kill('SIGKILL');
  await node.exited;
  await rm(path.join(ring.directory, 'data', `localhost_${node.port}`), { recursive: true });
}

function dht(node: RealNode, ...args: readonly string[]): Promise<{ readonly exitCode: number; readonly text: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY_POINT, ...args, '--admin-url', node.adminUrl], (error, stdout, stderr) => {
      resolve({ exitCode: typeof error?.code === 'number' ? error.code : 0, text: `${stdout}${stderr}` });
    });
  });
}

async function isDown(seenBy: RealNode, node: RealNode): Promise<boolean> {
  return (await seenBy.ring()).members.some((member) => member.name === node.name && member.liveness === 'down');
}

describe('nodes that are gone for good', () => {
  test.each([2, 3])('all but one of %i: the last one is recovered, has every object, and takes new nodes in', async (count) => {
    const nodes = await ringOf(count);
    const last = nodes.at(-1) as RealNode;
    const lost = nodes.slice(0, -1);
    await store(nodes[0] as RealNode);
    const refused = await dht(last, 'recover', '--accept-data-loss');
    expect(refused.exitCode).toBe(3);
    expect(refused.text).toContain('nothing to recover');
    for (const node of lost) await lose(node);
    await until(async () => (await Promise.all(lost.map((node) => isDown(last, node)))).every(Boolean), 30_000, 'the failure is certain');

    const cost = await dht(last, 'recover');
    expect(cost.exitCode).toBe(3);
    expect(cost.text).toContain(`Given up for good: ${lost.map((node) => node.name).sort().join(', ')}.`);
    expect((await fetch(last.objectUrl(FILES[0] as string))).status).toBe(503);
    const done = await dht(last, 'recover', '--accept-data-loss');
    expect(done).toMatchObject({ exitCode: 0 });
    await until(async () => (await last.ring()).members.length === 1, 20_000, 'a ring of one');
    await expectAll(last);
    expect((await dht(last, 'status')).text).toContain('recovered with possible loss of data');

    const fresh = await ring.startNew([last]);
    await until(async () => (await last.ring()).members.length === 2 && (await last.ring()).phase === 'stable', 20_000, 'a ring of two');
    await expectAll(fresh);
  }, TEST_MS_MAX);

  test('one of four is taken out by the others, who say so beforehand, and has its copies again elsewhere', async () => {
    const nodes = await ringOf(4, ['--out-after', '4']);
    const [first, lost] = [nodes[0] as RealNode, nodes[3] as RealNode];
    await store(first);
    await lose(lost);
    await until(async () => (await first.ring()).members.some((member) => member.trouble?.includes('will be taken out in') === true), 30_000, 'its fate is told');
    await until(async () => (await first.ring()).members.length === 3 && (await first.ring()).phase === 'stable', 40_000, 'it is out');
    expect((await first.ring()).isSafe).toBe(true);
    const metrics = await (await fetch(`${first.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/dht_ring_changes_total\{change="remove"\} 1/);
    for (const node of nodes.slice(0, 3)) await expectAll(node);
  }, TEST_MS_MAX);
});
