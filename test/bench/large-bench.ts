/**
 * Put and get of 64 MiB, four in flight, against a real ring of three on loopback, next to three plain files written and
 * fsynced, in the same run: what counts is the ratio. With TLS between the nodes, as it is by default, and without.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { peakResidentMiB } from '../support/process-memory.ts';
import { RealRing, until } from '../support/real-ring.ts';
import { BulkClient } from './bulk-client.ts';
import type { Report } from './report.ts';

const PIECE_BYTES = 2 ** 20;
const PIECES: readonly Buffer[] = Array.from({ length: 64 }, () => randomBytes(PIECE_BYTES));
const SIZE = PIECES.length * PIECE_BYTES;
const IN_FLIGHT = 4;
const COPIES = 3;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 6);
/** MB/s, and MiB of memory, that the first version has to reach. */
const BUDGET = { put: 250, get: 1000 };
const RESIDENT_BUDGET_MIB = 300;

interface Rate {
  readonly megabytesPerSecond: number;
  readonly failures: number;
}

/** Repeats the work, IN_FLIGHT side by side, until the time is over; each must say whether it went well. */
async function rate(work: (lane: number, i: number) => Promise<boolean>): Promise<Rate> {
  const begin = performance.now();
  let done = 0;
  let failures = 0;
  await Promise.all(Array.from({ length: IN_FLIGHT }, async (_, lane) => {
    for (let i = 0; performance.now() - begin < SECONDS * 1000; i++) {
      if (await work(lane, i)) done += 1;
      else failures += 1;
    }
  }));
  return { megabytesPerSecond: done * SIZE / 1e6 / ((performance.now() - begin) / 1000), failures };
}

/** The plain way: three files, written and fsynced side by side. */
async function plainFiles(): Promise<Rate> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dht-plain-'));
  const write = async (name: string): Promise<void> => {
    const file = await open(path.join(directory, name), 'w');
    for (const piece of PIECES) await file.write(piece);
    await file.sync();
    await file.close();
  };
  try {
    return await rate(async (lane, i) => {
      await Promise.all(Array.from({ length: COPIES }, (_, copy) => write(`${lane}-${i % 2}-${copy}`)));
      return true;
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export async function runLargeBench(report: Report): Promise<void> {
  const plain = await plainFiles();
  report({ what: 'three plain files of 64 MiB written and fsynced, MB/s', concurrency: IN_FLIGHT, perSecond: plain.megabytesPerSecond });
  for (const isInsecure of [false, true]) await benchRing(isInsecure, plain, report);
}

async function benchRing(isInsecure: boolean, plain: Rate, report: Report): Promise<void> {
  const label = `ring of 3${isInsecure ? ' without TLS' : ''}`;
  const ring = await RealRing.create({ isInsecure });
  try {
    const founder = await ring.startNew([]);
    for (let i = 1; i < COPIES; i++) await ring.startNew([founder]);
    await until(async () => (await Promise.all(ring.nodes.map((node) => node.ring()))).every((r) => r.phase === 'stable' && r.members.length === COPIES), 30_000, 'the ring is stable');
    const clients = await Promise.all(Array.from({ length: IN_FLIGHT }, (_, lane) => BulkClient.open(ring.nodes[lane % COPIES]?.httpPort ?? 0)));
    const client = (lane: number): BulkClient => clients[lane] as BulkClient;
    const put = await rate(async (lane, i) => [200, 201].includes((await client(lane).put(`/v1/objects/large/${lane}-${i % 2}`, PIECES)).status));
    report({ what: `${label}: put 64 MiB, MB/s`, concurrency: IN_FLIGHT, perSecond: put.megabytesPerSecond, failures: put.failures, ratioToRaw: put.megabytesPerSecond / plain.megabytesPerSecond, budget: BUDGET.put });
    const get = await rate(async (lane, i) => {
      const { status, bytes } = await client(lane).get(`/v1/objects/large/${(lane + i) % IN_FLIGHT}-0`);
      return status === 200 && bytes === SIZE;
    });
    report({ what: `${label}: get 64 MiB, MB/s`, concurrency: IN_FLIGHT, perSecond: get.megabytesPerSecond, failures: get.failures, budget: BUDGET.get });
    for (const each of clients) each.close();
    const peaks = await Promise.all(ring.nodes.map((node) => peakResidentMiB(node.process?.pid ?? 0)));
    report({ what: `${label}: largest resident memory of a node, MiB`, perSecond: Math.max(...peaks), budget: RESIDENT_BUDGET_MIB });
  } finally {
    await ring.stop();
  }
}
