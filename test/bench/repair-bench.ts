/**
 * From the loss of a node to full redundancy: a ring of five on loopback is filled, one node is killed for good, its disk
 * too, and the others take it out after OUT_AFTER_SECONDS by themselves. Measured until every arc has all its copies
 * again, which is then checked with a sample of names. What counts in the end is bytes copied a second while copying:
 * the wait before it is a setting.
 *
 *   npm run bench -- repair --gib 10
 *
 * All nodes share one disk and the cores of one machine here, and clients are quiet meanwhile.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { RealRing, until, type RealNode } from '../support/real-ring.ts';
import { BulkClient } from './bulk-client.ts';
import type { Report } from './report.ts';

const NODES = 5;
const OUT_AFTER_SECONDS = 5;
const GIB = 2 ** 30;
const KIB = 1024;
const MIB = 2 ** 20;
const SAMPLE = 300;
const LANES = 8;
const REPAIR_MS_MAX = 3 * 3600 * 1000;
const POLL_MS = 100;
/** Sizes, and the part of all bytes that goes to each. */
const SIZES: readonly (readonly [bytes: number, part: number])[] = [[4 * KIB, 0.005], [64 * KIB, 0.045], [MIB, 0.25], [16 * MIB, 0.7]];

export async function runRepairBench(report: Report, { gib }: { readonly gib: number }): Promise<void> {
  const ring = await RealRing.create({ flags: ['--out-after', String(OUT_AFTER_SECONDS)] });
  try {
    const founder = await ring.startNew([]);
    for (let i = 1; i < NODES; i++) await ring.startNew([founder]);
    await until(async () => await lack(ring.nodes, NODES) === null, 60_000, 'the ring is whole');

    const bytes = gib * GIB;
    const objects = SIZES.flatMap(([size, part]) => Array.from({ length: Math.max(1, Math.round(bytes * part / size)) }, (_, i) => ({ name: `${size}-${i}`, size })));
    const filledAt = performance.now();
    const stored = await fill(ring.nodes, objects);
    report({ what: `repair: filled with ${gib} GiB, ${objects.length} objects, MB/s`, perSecond: stored / 1e6 / seconds(filledAt) });

    const victim = ring.nodes[NODES - 1] as RealNode;
    const others = ring.nodes.filter((node) => node !== victim);
    const movedBefore = await copiedBytes(others);
    const killedAt = performance.now();
    victim.kill('SIGKILL');
    await victim.exited;
    await rm(path.join(ring.directory, 'data', `localhost_${victim.port}`), { recursive: true });
    await until(async () => (await founder.ring()).members.length < NODES || (await founder.ring()).phase === 'moving', REPAIR_MS_MAX, 'the dead node is taken out');
    const begunAt = performance.now();
    const noticeSeconds = seconds(killedAt);
    await untilPolled(async () => await lack(others, NODES - 1) === null);
    const copySeconds = seconds(begunAt);
    const moved = await copiedBytes(others) - movedBefore;
    report({ what: `repair: seconds from the kill until copying begins (out-after ${OUT_AFTER_SECONDS} s)`, perSecond: noticeSeconds });
    report({ what: 'repair: seconds from the kill to full redundancy', perSecond: seconds(killedAt) });
    report({ what: 'repair: GiB copied', perSecond: moved / GIB });
    report({ what: 'repair: MB/s while copying', perSecond: moved / 1e6 / copySeconds });
    report({ what: `repair: names of ${SAMPLE} that lack a copy (has to be 0)`, perSecond: await lackingCopies(others, objects.map(({ name }) => name)) });
  } finally {
    await ring.stop();
  }
}

/** Puts all objects, some side by side; resolves with the bytes. */
async function fill(nodes: readonly RealNode[], objects: readonly { readonly name: string; readonly size: number }[]): Promise<number> {
  const piece = randomBytes(MIB);
  let next = 0;
  let stored = 0;
  await Promise.all(Array.from({ length: LANES }, async (_, lane) => {
    const client = await BulkClient.open(nodes[lane % nodes.length]?.httpPort ?? 0);
    for (let i = next++; i < objects.length; i = next++) {
      const { name, size } = objects[i] as { name: string; size: number };
      const pieces = size <= MIB ? [piece.subarray(0, size)] : Array.from({ length: size / MIB }, () => piece);
      const { status } = await client.put(`/v1/objects/${name}`, pieces);
      if (status !== 201) throw new Error(`put of ${name}: ${status}`);
      stored += size;
    }
    client.close();
  }));
  return stored;
}

/** What is missing until these members are a whole ring with all copies; null: nothing. */
async function lack(nodes: readonly RealNode[], members: number): Promise<string | null> {
  const rings = await Promise.all(nodes.map((node) => node.ring()));
  const views = await Promise.all(nodes.map((node) => node.view()));
  const ring = rings.find((each) => each.phase !== 'stable' || each.members.length !== members || !each.isSafe || each.moves.arcs > 0);
  if (ring !== undefined) return ring.safety;
  return views.find(({ state, progress }) => state !== 'serving' || progress !== null)?.stateDetail ?? null;
}

async function untilPolled(condition: () => Promise<boolean>): Promise<void> {
  const endAt = performance.now() + REPAIR_MS_MAX;
  while (!(await condition())) {
    if (performance.now() > endAt) throw new Error('the ring is not repaired in time');
    await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
  }
}

const copiedBytes = async (nodes: readonly RealNode[]): Promise<number> =>
  (await Promise.all(nodes.map((node) => node.metric('dht_rebalance_transferred_bytes_total', 'direction="in"')))).reduce((a, b) => a + b, 0);

/** How many names of a sample lack a durable copy at one of their replicas. */
async function lackingCopies(nodes: readonly RealNode[], names: readonly string[]): Promise<number> {
  let lacking = 0;
  const step = Math.max(1, Math.floor(names.length / SAMPLE));
  for (let i = 0; i < names.length; i += step) {
    const { preferenceList } = await (nodes[i % nodes.length] as RealNode).explain(names[i] ?? '');
    const versions = new Set(preferenceList.map(({ holds }) => (holds?.durable === true && holds.sha256 !== null ? holds.version : null)));
    if (preferenceList.length < 3 || versions.size !== 1 || versions.has(null)) lacking += 1;
  }
  return lacking;
}

const seconds = (since: number): number => (performance.now() - since) / 1000;
