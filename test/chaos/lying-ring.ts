/**
 * A ring in one process and in memory, behind the same interfaces as a real one, with one lie planted: what the oracle has
 * to find. Without a lie it is as promised, so that the oracle is seen not to cry wolf.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExplainView, NodeView, RingView } from '../../src/node/node-service.ts';
import type { ChaosNode, ChaosRing } from './chaos-ring.ts';

export const LIES = ['lost-write', 'stale-read', 'resurrected-delete', 'corrupt-byte', 'two-rings', 'missing-replica', 'unavailable', 'crashed-node', 'unhandled-rejection', 'hoarded-files'] as const;
export type Lie = (typeof LIES)[number];

interface Stored {
  readonly version: number;
  /** Null: deleted. */
  readonly body: Buffer | null;
}

const NODES = 3;
/** One in so many calls of its kind is a lie. */
const EVERY = 6;
const BACK_MS = 150;
const HOARDED = 1_000;

export class LyingRing implements ChaosRing {
  readonly capabilities = new Set<never>();
  readonly replicas = NODES;
  readonly unexpectedEnds: readonly string[];
  readonly nodes: readonly ChaosNode[];
  readonly #lie: Lie | null;
  readonly #server: Server;
  readonly #objects = new Map<string, Stored>();
  readonly #before = new Map<string, Stored>();
  readonly #counts = new Map<string, number>();
  #versions = 0;
  #openFiles = 10;

  private constructor(lie: Lie | null) {
    this.#lie = lie;
    this.unexpectedEnds = lie === 'crashed-node' ? ['node 1 ended with code 70'] : [];
    this.#server = createServer((req, res) => {
      const pieces: Buffer[] = [];
      req.on('data', (piece: Buffer) => pieces.push(piece));
      req.on('end', () => { this.#answer(req, res, Buffer.concat(pieces)); });
    });
    this.nodes = Array.from({ length: NODES }, (_, ordinal) => this.#node(ordinal));
  }

  static async start(lie: Lie | null): Promise<LyingRing> {
    const ring = new LyingRing(lie);
    await new Promise<void>((resolve) => { ring.#server.listen(0, '127.0.0.1', resolve); });
    return ring;
  }

  get serviceUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  whyNot = (): string => 'it only answers';
  kill = absent;
  restart = absent;
  rollingRestart = absent;
  evict = absent;
  scale = absent;
  loseVolumes = absent;
  pause = absent;
  resume = absent;
  link = absent;
  swapAddresses = absent;
  impersonate = absent;
  fillDisk = absent;
  freeDisk = absent;
  damage = absent;
  apiFault = absent;
  shiftClock = absent;
  slow = absent;
  chooseVersion = absent;
  replaceCertificate = absent;
  rotateSecret = absent;
  foundAnew = absent;
  heal = (): Promise<void> => Promise.resolve();
  lack = (): Promise<string | null> => Promise.resolve(null);
  untilWhole = (): Promise<number> => Promise.resolve(0);
  untilReady = (): Promise<number> => Promise.resolve(0);
  neverLogged = (): Promise<readonly string[]> => Promise.resolve(this.#lie === 'unhandled-rejection' ? ['node 0 logged: unhandledRejection'] : []);

  openFiles(): Promise<ReadonlyMap<string, number>> {
    const count = this.#openFiles;
    if (this.#lie === 'hoarded-files') this.#openFiles += HOARDED;
    return Promise.resolve(new Map([['node 0', count]]));
  }

  async stop(): Promise<string> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
    return '';
  }

  #node(ordinal: number): ChaosNode {
    const ring: LyingRing = this;
    return {
      ordinal, isReady: true, name: `node ${ordinal}`,
      get url() { return ring.serviceUrl; },
      objectUrl: (key) => `${ring.serviceUrl}/v1/objects/${key}`,
      metric: () => Promise.resolve(0),
      view: () => Promise.resolve({ clusterId: ring.#lie === 'two-rings' && ordinal === 2 ? 'second' : 'first' } as NodeView),
      ring: () => Promise.resolve({ members: [] as RingView['members'] } as RingView),
      explain: (key) => Promise.resolve(ring.#explain(key)),
    };
  }

  #explain(key: string): ExplainView {
    const body = this.#objects.get(key)?.body ?? null;
    const preferenceList = Array.from({ length: NODES }, (_, ordinal) => {
      const isMissing = body === null || (this.#lie === 'missing-replica' && ordinal === 2);
      return { node: `node ${ordinal}`, nodeId: '', reason: '', liveness: 'alive' as const, holds: isMissing ? { version: null, kind: 'none' as const, size: 0, sha256: null, durable: true } : { version: '1', kind: 'object' as const, size: body.length, sha256: createHash('sha256').update(body).digest('hex'), durable: true } };
    });
    return { name: key, hash: '', key: 0, arc: { from: 0, to: 0 }, epoch: 1, owner: null, preferenceList, nextOwner: null, repairsPending: 0 };
  }

  #lies(lie: Lie): boolean {
    if (this.#lie !== lie) return false;
    const count = (this.#counts.get(lie) ?? 0) + 1;
    this.#counts.set(lie, count);
    return count % EVERY === 0;
  }

  #answer({ method, url = '', headers }: IncomingMessage, res: ServerResponse, body: Buffer): void {
    const { pathname, searchParams } = new URL(url, 'http://ring');
    const key = decodeURIComponent(pathname.slice('/v1/objects/'.length));
    if (this.#lie === 'unavailable' && key.startsWith('probe/') && method === 'GET') return void res.writeHead(503).end();
    if (pathname === '/v1/objects') {
      const objects = [...this.#objects].filter(([name, stored]) => stored.body !== null && name.startsWith(searchParams.get('prefix') ?? '')).map(([name]) => ({ name }));
      return void res.end(JSON.stringify({ objects }));
    }
    const present = this.#objects.get(key) ?? { version: 0, body: null };
    const etag = ({ version }: Stored): string => `"${version}"`;
    if (method === 'GET') {
      const shown = this.#lies('stale-read') ? this.#before.get(key) ?? present : present;
      if (shown.body === null) return void res.writeHead(404).end();
      const bytes = Buffer.from(shown.body);
      if (this.#lies('corrupt-byte')) bytes[0] = (bytes[0] ?? 0) ^ 1;
      return void res.writeHead(200, { etag: etag(shown) }).end(bytes);
    }
    const { 'if-match': match, 'if-none-match': noneMatch } = headers;
    const isThere = present.body !== null;
    if ((noneMatch === '*' && isThere) || (match !== undefined && (!isThere || (match !== '*' && match !== etag(present))))) return void res.writeHead(412).end();
    const next = { version: ++this.#versions, body: method === 'PUT' ? body : null };
    this.#before.set(key, present);
    if (method === 'PUT') {
      if (!this.#lies('lost-write')) this.#objects.set(key, next);
      return void res.writeHead(isThere ? 200 : 201, { etag: etag(next) }).end();
    }
    this.#objects.set(key, next);
    if (this.#lie === 'resurrected-delete' && isThere) setTimeout(() => { if (this.#objects.get(key) === next) this.#objects.set(key, present); }, BACK_MS);
    res.writeHead(204).end();
  }
}

function absent(): Promise<never> {
  return Promise.reject(new Error('nothing can be done to this ring'));
}
