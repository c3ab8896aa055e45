/** A Kubernetes API over plain HTTP that knows one StatefulSet and one Secret, and can be silent or refuse. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StoredSecret {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
}

export class MockApi {
  readonly #server: Server;
  statefulSet: object | null = { metadata: { name: 'dht', uid: 'u1' }, spec: { replicas: 3 } };
  secret: StoredSecret = { metadata: { name: 'dht-cluster', resourceVersion: '1' } };
  /** Answers with this status; 'silent': not at all. */
  fault: number | 'silent' | null = null;
  /** Runs before the next update of the Secret is looked at. */
  beforeUpdate: (() => void) | null = null;
  readonly requests: string[] = [];

  private constructor() {
    this.#server = createServer((req, res) => {
      this.requests.push(`${req.method ?? ''} ${req.url ?? ''}`);
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        if (this.fault === 'silent') return;
        const [status, body] = this.#answer(req.method ?? '', req.url ?? '', Buffer.concat(chunks).toString());
        res.writeHead(status, { 'content-type': 'application/json' });
        res.end(JSON.stringify(body));
      });
    });
  }

  static async start(): Promise<MockApi> {
    const api = new MockApi();
    await new Promise<void>((resolve) => { api.#server.listen(0, '127.0.0.1', resolve); });
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }

  write(data: Readonly<Record<string, string>>): void {
    const encoded = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
    this.secret = { metadata: { ...this.secret.metadata, resourceVersion: String(Number(this.secret.metadata.resourceVersion) + 1) }, data: { ...this.secret.data, ...encoded } };
  }

  #answer(method: string, url: string, text: string): [number, object] {
    if (typeof this.fault === 'number') return [this.fault, { kind: 'Status', code: this.fault }];
    if (url === '/apis/apps/v1/namespaces/store/statefulsets/dht' && method === 'GET') {
      return this.statefulSet === null ? [404, { kind: 'Status', code: 404 }] : [200, this.statefulSet];
    }
    if (url !== '/api/v1/namespaces/store/secrets/dht-cluster') return [403, { kind: 'Status', code: 403 }];
    if (method === 'GET') return [200, this.secret];
    const before = this.beforeUpdate;
    this.beforeUpdate = null;
    before?.();
    const body = JSON.parse(text) as StoredSecret;
    if (body.metadata.resourceVersion !== this.secret.metadata.resourceVersion) return [409, { kind: 'Status', code: 409 }];
    this.secret = { ...body, metadata: { ...body.metadata, resourceVersion: String(Number(body.metadata.resourceVersion) + 1) } };
    return [200, this.secret];
  }
}
