/** A gateway that acknowledges everything and then does harm, to show that a load test sees it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** none: it tells the truth. forgets: every object. changes: a byte of each body it gives. goes-back: to the first version of an object. */
export type Harm = 'none' | 'forgets' | 'changes' | 'goes-back';

interface Kept {
  readonly body: Buffer;
  readonly generation: string;
  readonly version: string;
}

export class LyingStore {
  harm: Harm;
  readonly #server: Server;
  readonly #versions = new Map<string, Kept[]>();
  #clock = 0;

  private constructor(harm: Harm) {
    this.harm = harm;
    this.#server = createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => { this.#answer(req, res, Buffer.concat(chunks)); });
    });
  }

  static async start(harm: Harm): Promise<LyingStore> {
    const store = new LyingStore(harm);
    await new Promise<void>((resolve) => { store.#server.listen(0, '127.0.0.1', resolve); });
    return store;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(req: IncomingMessage, res: ServerResponse, body: Buffer): void {
    const url = req.url ?? '';
    if (url === '/v1/openapi.json') return void res.end('{"info":{"version":"0.0.0"}}');
    if (url.startsWith('/v1/objects?')) return void res.end('{"objects":[],"commonPrefixes":[]}');
    const versions = this.#versions.get(url) ?? [];
    if (req.method === 'PUT') {
      const version = `1-${(++this.#clock).toString(16)}-${'0'.repeat(32)}`;
      this.#versions.set(url, [...versions, { body, generation: String(req.headers['x-dht-meta-generation']), version }]);
      return void res.writeHead(201, { 'x-dht-version': version }).end('{"replicationFactor":1}');
    }
    if (req.method === 'DELETE') {
      this.#versions.delete(url);
      return void res.writeHead(204).end();
    }
    const kept = this.harm === 'forgets' ? undefined : this.harm === 'goes-back' ? versions[0] : versions.at(-1);
    if (kept === undefined) return void res.writeHead(404).end();
    const bytes = Buffer.from(kept.body);
    if (this.harm === 'changes') bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    res.writeHead(200, { 'x-dht-version': kept.version, 'x-dht-meta-generation': kept.generation }).end(bytes);
  }
}
