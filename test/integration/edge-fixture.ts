/** Both apps on real loopback sockets before a fake node, and a client that sends exactly the bytes it is given. */
import * as net from 'node:net';
import { OBJECT_BYTES_MAX } from '../../src/domain/limits.ts';
import { createAdminApp } from '../../src/gateway/admin-app.ts';
import type { BearerToken } from '../../src/gateway/bearer-tokens.ts';
import { createGatewayApp } from '../../src/gateway/gateway-app.ts';
import { rawProblem } from '../../src/gateway/problem.ts';
import { RequestIds } from '../../src/gateway/request-ids.ts';
import { PromMeter } from '../../src/metrics/prom-meter.ts';
import { HttpServer, type TlsIdentity } from '../../src/runtime/http-server.ts';
import { JsonLog } from '../../src/runtime/json-log.ts';
import { NodeClock } from '../../src/runtime/node-clock.ts';
import { NodeRandom } from '../../src/runtime/node-random.ts';
import type { ProgressOptions } from '../../src/runtime/progress-watchdog.ts';
import { FakeNode } from './fake-node.ts';

interface EdgeOptions {
  readonly requestsMax?: number;
  readonly adminToken?: string | null;
  readonly objectBytesMax?: number;
  readonly progress?: ProgressOptions;
  readonly tokens?: readonly BearerToken[] | null;
  readonly tls?: TlsIdentity | null;
}

/** Longer than any test. */
const PATIENT: ProgressOptions = { intervalMs: 60_000, sentBytesMin: 1, takingLooksMax: 10 };

export class EdgeFixture {
  readonly node = new FakeNode();
  readonly logLines: string[] = [];
  isStarted = true;
  /** May be replaced by a gateway's that began with some. */
  tokens: readonly BearerToken[] = [];
  readonly #servers: HttpServer[];

  private constructor(servers: HttpServer[]) {
    this.#servers = servers;
  }

  get port(): number {
    return this.#servers[0]?.port ?? 0;
  }

  get adminPort(): number {
    return this.#servers[1]?.port ?? 0;
  }

  static async start({ requestsMax = 16, adminToken = null, objectBytesMax = OBJECT_BYTES_MAX, progress = PATIENT, tokens = null, tls = null }: EdgeOptions = {}): Promise<EdgeFixture> {
    const servers: HttpServer[] = [];
    const fixture = new EdgeFixture(servers);
    fixture.tokens = tokens ?? [];
    const meter = new PromMeter({ version: '0', revision: '0', nodeVersion: '0' });
    const requestIds = new RequestIds(new NodeRandom());
    const log = new JsonLog({ write: (line) => fixture.logLines.push(line) }, { level: 'debug', format: 'json', fields: {} });
    const node = (): FakeNode | null => (fixture.isStarted ? fixture.node : null);
    const serve = { host: '127.0.0.1', port: 0, connectionsMax: 100, progress, parseErrorAnswer: (code: string) => rawProblem(code, requestIds.next()) };
    servers.push(await HttpServer.start(createGatewayApp({ node, clock: new NodeClock(), log, meter, requestIds }, { requestsMax, objectBytesMax, tokens: tokens === null ? null : () => fixture.tokens, version: '0' }), { ...serve, tls }));
    servers.push(await HttpServer.start(createAdminApp({ node, clock: new NodeClock(), log, metrics: meter, requestIds, waitsFor: () => null, drains: () => null }, { adminToken: () => adminToken, version: '0' }), { ...serve, tls: null }));
    return fixture;
  }

  renewTls(identity: TlsIdentity): void {
    this.#servers[0]?.renewTls(identity);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close(0)));
  }

  object(target: string, init?: RequestInit): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}/v1/objects/${target}`, init);
  }

  admin(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.adminPort}${path}`, init);
  }

  /** Sends the bytes as they are and returns all that comes until the server closes; half-closes when `end` is set. */
  raw(bytes: string | Buffer, { end = false, port = this.port }: { end?: boolean; port?: number } = {}): Promise<string> {
    return new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
      socket.on('end', () => socket.destroy());
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
      if (end) socket.end();
    });
  }

  /** One request with a raw target; the connection closes after the answer. */
  target(target: string, method = 'GET'): Promise<string> {
    return this.raw(`${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  }
}

export interface ProblemJson {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly retryable: boolean;
  readonly requestId: string;
  readonly outcome?: string;
  readonly currentEtag?: string | null;
}

export async function problemOf(response: Response): Promise<ProblemJson> {
  if (response.headers.get('content-type') !== 'application/problem+json') throw new Error(`no problem: ${response.status} ${await response.text()}`);
  return (await response.json()) as ProblemJson;
}
