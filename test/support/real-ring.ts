/**
 * A ring of real processes on loopback, for demos and tests: each node is `dht node` with a directory and ports of its
 * own, speaking TLS with a secret made for this ring. Ports are free ones, asked of the system first, because a node's
 * port is part of its name.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { createWriteStream } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { FilesPage, NodeView, RingView, ExplainView } from '../../src/node/node-service.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const PORT_MIN = 10_240;
const PORT_MAX = 32_000;

export interface RealRingOptions {
  /** More flags for each node, for instance ['--key-bits', '16']. */
  readonly flags?: readonly string[];
  /** Plain TCP between the nodes instead of TLS. */
  readonly isInsecure?: boolean;
  /** False: no secret is handed to the nodes; they get it elsewhere. */
  readonly hasSecretFile?: boolean;
  /** Where data and logs go; a fresh temporary directory by default, removed at the end. */
  readonly directory?: string;
}

export class RealNode {
  readonly index: number;
  readonly port: number;
  readonly httpPort: number;
  readonly adminPort: number;
  readonly logFile: string;
  readonly host: string;
  /** What its gateway speaks. */
  scheme: 'http' | 'https' = 'http';
  process: ChildProcess | null = null;
  /** Resolves with the exit code (null: killed by a signal) of the last start. */
  exited: Promise<number | null> = Promise.resolve(null);

  constructor(index: number, ports: readonly [number, number, number], logFile: string, host: string) {
    this.index = index;
    this.host = host;
    [this.port, this.httpPort, this.adminPort] = ports;
    this.logFile = logFile;
  }

  get name(): string {
    return `${this.host}:${this.port}`;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.httpPort}`;
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.adminPort}`;
  }

  get isRunning(): boolean {
    return this.process !== null && this.process.exitCode === null && this.process.signalCode === null;
  }

  async admin<T>(route: string, init?: RequestInit): Promise<T> {
    const response = await fetch(`${this.adminUrl}${route}`, { signal: AbortSignal.timeout(60_000), ...init });
    const text = await response.text();
    if (!response.ok) throw new Error(`${init?.method ?? 'GET'} ${route} at ${this.name}: ${response.status} ${text}`);
    return (text === '' ? null : JSON.parse(text)) as T;
  }

  view(): Promise<NodeView> {
    return this.admin('/v1/node');
  }

  ring(): Promise<RingView> {
    return this.admin('/v1/ring');
  }

  files(): Promise<NodeView & FilesPage> {
    return this.admin('/v1/node?files=true');
  }

  explain(name: string): Promise<ExplainView> {
    return this.admin(`/v1/ring/lookup?name=${encodeURIComponent(name)}`);
  }

  kill(signal: NodeJS.Signals): void {
    this.process?.kill(signal);
  }

  objectUrl(name: string): string {
    return `${this.url}/v1/objects/${name.split('/').map(encodeURIComponent).join('/')}`;
  }

  /** The value of a metric: the sum over its label sets that contain these labels; 0 when it isn't there. */
  async metric(name: string, labels = ''): Promise<number> {
    const response = await fetch(`${this.adminUrl}/metrics`, { signal: AbortSignal.timeout(10_000) });
    let sum = 0;
    for (const line of (await response.text()).split('\n')) {
      if ((line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels)) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return sum;
  }
}

export class RealRing {
  readonly directory: string;
  readonly #flags: readonly string[];
  readonly #isTemporary: boolean;
  readonly #secretFlags: readonly string[];
  readonly nodes: RealNode[] = [];

  private constructor(directory: string, options: RealRingOptions) {
    this.directory = directory;
    this.#flags = options.flags ?? [];
    this.#isTemporary = options.directory === undefined;
    this.#secretFlags = options.isInsecure === true ? ['--insecure-transport'] : options.hasSecretFile === false ? [] : ['--cluster-secret-file', path.join(directory, 'cluster-secret')];
  }

  static async create(options: RealRingOptions = {}): Promise<RealRing> {
    const directory = options.directory ?? await mkdtemp(path.join(os.tmpdir(), 'dht-ring-'));
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, 'cluster-secret'), randomBytes(32).toString('hex'), { mode: 0o600 });
    return new RealRing(directory, options);
  }

  /** A node that isn't started yet. `host`: half of its name; all listen on loopback. */
  async add(host = 'localhost'): Promise<RealNode> {
    const ports = await freePorts(3);
    const index = this.nodes.length;
    const node = new RealNode(index, [ports[0] as number, ports[1] as number, ports[2] as number], path.join(this.directory, `node-${index}.log`), host);
    this.nodes.push(node);
    return node;
  }

  /**
   * Starts the node's process (again); `flags` come after the ring's own. Doesn't wait for it to be ready. `entryPoint`:
   * another script than the program's.
   */
  start(node: RealNode, flags: readonly string[], entryPoint: string | null = null, environment: Readonly<Record<string, string>> = {}): void {
    const log = createWriteStream(node.logFile, { flags: 'a' });
    const child = spawn(process.execPath, [
      entryPoint ?? path.join(ROOT, 'src/main.ts'), 'node', '--host', node.host, '--port', String(node.port), '--http-port', String(node.httpPort),
      '--admin-port', String(node.adminPort), '--data-dir', path.join(this.directory, 'data'), ...this.#secretFlags, ...this.#flags, ...flags,
    ], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment, UV_THREADPOOL_SIZE: '16', MALLOC_ARENA_MAX: '2', NODE_OPTIONS: '--disable-warning=ExperimentalWarning' } });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    node.process = child;
    node.exited = new Promise((resolve) => { child.once('exit', (code) => { resolve(code); }); });
  }

  /** Where the node's files are. */
  directoryOf(node: RealNode): string {
    return path.join(this.directory, 'data', `${node.host}_${node.port}`);
  }

  /** Adds, starts and waits until it is ready. Without seeds it founds the ring. */
  async startNew(seeds: readonly RealNode[], flags: readonly string[] = []): Promise<RealNode> {
    const node = await this.add();
    this.start(node, [...seeds.flatMap((seed) => ['--join', seed.name]), ...flags]);
    await this.untilReady(node);
    return node;
  }

  async untilReady(node: RealNode, deadlineMs = 30_000): Promise<void> {
    await until(async () => {
      if (!node.isRunning) throw new Error(`node ${node.name} ended, see ${node.logFile}`);
      return (await fetch(`${node.adminUrl}/readyz`).catch(() => null))?.ok === true;
    }, deadlineMs, `node ${node.name} is ready`);
  }

  /** Ends all processes and removes a temporary directory. */
  async stop(): Promise<void> {
    for (const node of this.nodes) if (node.isRunning) node.kill('SIGTERM');
    const all = Promise.all(this.nodes.map((node) => node.exited));
    const timer = setTimeout(() => { for (const node of this.nodes) if (node.isRunning) node.kill('SIGKILL'); }, 10_000);
    await all;
    clearTimeout(timer);
    if (this.#isTemporary) await rm(this.directory, { recursive: true, force: true });
  }
}

/** Polls until the condition holds; throws with `what` when it doesn't in time. */
export async function until(condition: () => Promise<boolean>, deadlineMs: number, what: string): Promise<number> {
  const begin = performance.now();
  for (;;) {
    if (await condition()) return performance.now() - begin;
    if (performance.now() - begin > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/**
 * Ports that are free, and that nobody else who asks here gets while this process lives: rings side by side, and a node that is
 * down for a while, keep theirs. What keeps a port is a UDP socket of the same number, in which no node has an interest and which
 * ends with the process. Below the range from which systems take the ports of outgoing connections, or one of those would sit
 * on the port of a node that is down.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (await isKept(port) && await isFree(port)) ports.push(port);
  }
  return ports;
}

function isKept(port: number): Promise<boolean> {
  const socket = createSocket('udp4').unref();
  return new Promise((resolve) => {
    socket.once('error', () => { socket.close(() => { resolve(false); }); });
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => { resolve(true); });
  });
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => { resolve(false); });
    server.listen(port, '127.0.0.1', () => { server.close(() => { resolve(true); }); });
  });
}
