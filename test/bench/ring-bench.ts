/**
 * Put and get of 4 KiB against real rings of three and five nodes on loopback (TLS between them, every put durable on a
 * majority), next to a raw node:http server that keeps nothing, in the same run: what counts is the ratio.
 */
import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { residentMiB } from '../support/process-memory.ts';
import { RealRing, until } from '../support/real-ring.ts';
import { runLoad, type LoadTarget } from './http-load.ts';
import type { Report } from './report.ts';

const SIZE = 4096;
const NAMES = 20_000;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4);
const CONCURRENCIES = [1, 16, 64];

const BODY = randomBytes(SIZE);
const putRequest = (i: number): Buffer => Buffer.concat([
  Buffer.from(`PUT /v1/objects/bench/${i % NAMES} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: ${SIZE}\r\n\r\n`),
  BODY,
]);
const getRequest = (written: number) => (i: number): Buffer => Buffer.from(`GET /v1/objects/bench/${i % written} HTTP/1.1\r\nhost: localhost\r\n\r\n`);

export async function runRingBench(report: Report): Promise<void> {
  const raw = await rawServer();
  const rawRates = new Map<string, number>();
  for (const concurrency of CONCURRENCIES) {
    for (const [kind, request, expectStatus] of [['put', putRequest, [201]], ['get', getRequest(NAMES), [200]]] as const) {
      const result = await runLoad([raw.target], { concurrency, seconds: SECONDS / 2, request, expectStatus });
      rawRates.set(`${kind} ${concurrency}`, result.perSecond);
      report({ what: `raw node:http ${kind} 4 KiB`, concurrency, perSecond: result.perSecond, p50Ms: result.p50Ms, p99Ms: result.p99Ms, failures: result.failures });
    }
  }
  raw.stop();
  for (const size of [3, 5]) await benchRing(size, rawRates, report);
}

async function benchRing(size: number, rawRates: ReadonlyMap<string, number>, report: Report): Promise<void> {
  const ring = await RealRing.create();
  try {
    const founder = await ring.startNew([]);
    for (let i = 1; i < size; i++) await ring.startNew([founder]);
    await until(async () => (await Promise.all(ring.nodes.map((node) => node.ring()))).every((r) => r.phase === 'stable' && r.members.length === size), 30_000, 'the ring is stable');
    const targets: LoadTarget[] = ring.nodes.map((node) => ({ port: node.httpPort }));
    let written = 0;
    for (const kind of ['put', 'get'] as const) {
      for (const concurrency of CONCURRENCIES) {
        const request = kind === 'put' ? (i: number) => putRequest(written++ + 0 * i) : getRequest(Math.min(written, NAMES));
        const result = await runLoad(targets, { concurrency, seconds: SECONDS, request, expectStatus: [200, 201] });
        report({
          what: `ring of ${size}: ${kind} 4 KiB`, concurrency, perSecond: result.perSecond, p50Ms: result.p50Ms, p99Ms: result.p99Ms, failures: result.failures,
          ratioToRaw: result.perSecond / (rawRates.get(`${kind} ${concurrency}`) ?? NaN),
        });
      }
    }
    const resident = await Promise.all(ring.nodes.map(async (node) => residentMiB(node.process?.pid ?? 0)));
    report({ what: `ring of ${size}: largest resident memory of a node, MiB`, perSecond: Math.max(...resident) });
  } finally {
    await ring.stop();
  }
}

/** A node:http server in a process of its own that collects bodies and answers, and serves 4 KiB from memory. */
async function rawServer(): Promise<{ target: LoadTarget; stop: () => void }> {
  const code = `
    const body = Buffer.alloc(${SIZE});
    require('node:http').createServer((req, res) => {
      if (req.method === 'GET') { res.writeHead(200, { 'content-length': ${SIZE} }); res.end(body); return; }
      const chunks = [];
      req.on('data', (c) => chunks.push(c));
      req.on('end', () => { Buffer.concat(chunks); res.writeHead(201, { 'content-length': 2 }); res.end('{}'); });
    }).listen(0, '127.0.0.1', function () { console.log(this.address().port); });`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data') as [Buffer];
  return { target: { port: Number(line.toString()) }, stop: () => { child.kill('SIGKILL'); } };
}
