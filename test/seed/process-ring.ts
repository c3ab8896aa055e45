/** The ring of the assignment's cases as real processes: `node src/main.ts node ...`, spoken to over HTTP. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SeedRing, ShownNode } from './seed-ring.ts';
import { KEY_BITS } from './seed-ring.ts';

const MAIN = path.resolve(import.meta.dirname, '../../src/main.ts');
const NODES = 12;
const START_MS_MAX = 15_000;

interface RunningNode {
  readonly child: ChildProcess;
  readonly output: string[];
  readonly httpUrl: string;
  readonly adminUrl: string;
}

/** Ports that are free now: bound all at once, so that they differ, and let go. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
      const server = createServer().once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve(server));
    })),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export class ProcessRing implements SeedRing {
  readonly names: readonly string[];
  readonly #ports: readonly number[];
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'dht-seed-'));
  readonly #nodes = new Map<string, RunningNode>();

  private constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.names = ports.slice(0, NODES).map((port) => `localhost:${port}`);
  }

  static async open(): Promise<ProcessRing> {
    return new ProcessRing(await freePorts(3 * NODES));
  }

  async start(name: string, seed: string | null): Promise<void> {
    const index = this.names.indexOf(name);
    const [port, httpPort, adminPort] = [0, 1, 2].map((part) => this.#ports[part * NODES + index] ?? 0);
    const args = [
      MAIN, 'node', '--host', 'localhost', '--port', String(port), '--http-port', String(httpPort), '--admin-port', String(adminPort),
      '--data-dir', this.#directory, '--key-bits', String(KEY_BITS), '--tokens', '1', '--candidates', '1',
      ...(seed === null ? [] : ['--join', seed]),
    ];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DHT_CLUSTER_SECRET: 'the secret of the seed cases, 32 bytes or more' } });
    const node: RunningNode = { child, output: [], httpUrl: `http://127.0.0.1:${httpPort}`, adminUrl: `http://127.0.0.1:${adminPort}` };
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => node.output.push(String(text)));
    this.#nodes.set(name, node);
    const endMs = Date.now() + START_MS_MAX;
    for (;;) {
      const answer = await fetch(`${node.adminUrl}/v1/node`).catch(() => null);
      await answer?.arrayBuffer();
      if (answer?.ok === true) return;
      if (child.exitCode !== null || Date.now() > endMs) throw new Error(`${name} doesn't start:\n${node.output.join('')}`);
      await sleep(20);
    }
  }

  async show(name: string): Promise<ShownNode> {
    const answer = await fetch(`${this.#node(name).adminUrl}/v1/node?files=true`);
    return (await answer.json()) as ShownNode;
  }

  async put(through: string, file: string, body: Buffer): Promise<void> {
    const answer = await fetch(`${this.#node(through).httpUrl}/v1/objects/${file}`, { method: 'PUT', body: new Uint8Array(body) });
    if (!answer.ok) throw new Error(`put ${file} through ${through}: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  }

  async get(through: string, file: string): Promise<Buffer | null> {
    const answer = await fetch(`${this.#node(through).httpUrl}/v1/objects/${file}`);
    const body = Buffer.from(await answer.arrayBuffer());
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`get ${file} through ${through}: ${answer.status} ${body.toString()}`);
    return body;
  }

  async leave(name: string): Promise<void> {
    const answer = await fetch(`${this.#node(name).adminUrl}/v1/node/leave`, { method: 'POST' });
    if (!answer.ok) throw new Error(`${name} can't leave: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  }

  async kill(name: string): Promise<void> {
    const { child } = this.#node(name);
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }

  hasEnded(name: string): boolean {
    return this.#node(name).child.exitCode === 0;
  }

  async within(withinMs: number, problem: () => Promise<string | null>): Promise<void> {
    const endMs = Date.now() + withinMs;
    for (;;) {
      const found = await problem();
      if (found === null) return;
      if (Date.now() > endMs) throw new Error(`${found} (after ${withinMs} ms)`);
      await sleep(20);
    }
  }

  /** `dht get NAME` as a user types it, at the first node that runs: its exit code and what it wrote. */
  async commandGet(file: string, target: string): Promise<{ readonly exitCode: number | null; readonly output: string }> {
    const [first] = [...this.#nodes.values()].filter(({ child }) => child.exitCode === null && child.signalCode === null);
    const child = spawn(process.execPath, [MAIN, 'get', file, '-o', target], { env: { ...process.env, DHT_URL: first?.httpUrl }, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => output.push(String(text)));
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { exitCode, output: output.join('') };
  }

  /** The last lines of every node, to read after a failure. */
  logs(): string {
    return [...this.#nodes].map(([name, { output }]) => `--- ${name}\n${output.join('').split('\n').slice(-15).join('\n')}`).join('\n');
  }

  temporaryFile(name: string): string {
    return path.join(this.#directory, name);
  }

  async close(): Promise<void> {
    for (const { child } of this.#nodes.values()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #node(name: string): RunningNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`${name} was never started`);
    return node;
  }
}
