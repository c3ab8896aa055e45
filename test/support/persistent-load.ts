/**
 * A client that never stops while the cluster is shaken: it puts and gets small objects through the gateway Service, tries
 * each operation again for a while as a real client does, and remembers what was acknowledged.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';

/** Milliseconds that an operation is tried again before it counts as failed. */
export const RETRY_MS = 10_000;
const TRY_TIMEOUT_MS = 5_000;

export interface LoadReport {
  readonly operations: number;
  readonly retries: number;
  /** Operations that weren't answered within RETRY_MS, or answered wrongly. */
  readonly failures: readonly string[];
  /** Longest time that one operation took, ms. */
  readonly longestMs: number;
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** One request over a connection of its own: a client that is sent away comes back through the Service. */
export function http(method: string, url: string, body: Buffer | null = null, timeoutMs = TRY_TIMEOUT_MS): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method, agent: new Agent({ keepAlive: false }), headers: body === null ? {} : { 'content-length': body.length } }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces) });
      });
    });
    // Not the request's own time-out, which begins only once it is connected: a pod that is gone never refuses.
    const timer = setTimeout(() => call.destroy(new Error('no answer')), timeoutMs);
    call.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    call.end(body ?? undefined);
  });
}

/** Tries until the answer is no 5xx. */
export async function persist(method: string, url: string, body: Buffer | null, retryMs = RETRY_MS, onRetry: () => void = () => {}): Promise<Answer> {
  const begin = performance.now();
  for (;;) {
    const answer = await http(method, url, body).catch((error: unknown) => String(error));
    if (typeof answer !== 'string' && answer.status < 500) return answer;
    if (performance.now() - begin > retryMs) throw new Error(`${method} ${url}: ${typeof answer === 'string' ? answer : `${answer.status} ${answer.body.toString()}`} for ${retryMs} ms`);
    onRetry();
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

export class Load {
  readonly #url: string;
  /** Digest of what was acknowledged last, by name. */
  readonly acknowledged = new Map<string, string>();
  #isRunning = true;
  readonly #lanes: readonly Promise<void>[];
  #operations = 0;
  #retries = 0;
  #longestMs = 0;
  readonly #failures: string[] = [];

  constructor(url: string, prefix: string, lanes = 3) {
    this.#url = url;
    this.#lanes = Array.from({ length: lanes }, (_, lane) => this.#run(`${prefix}/${lane}`));
  }

  async stop(): Promise<LoadReport> {
    this.#isRunning = false;
    await Promise.all(this.#lanes);
    return { operations: this.#operations, retries: this.#retries, failures: this.#failures, longestMs: this.#longestMs };
  }

  async #run(prefix: string): Promise<void> {
    for (let i = 0; this.#isRunning; i++) {
      const name = `${prefix}/${i % 50}`;
      const body = randomBytes(1000 + i % 3000);
      await this.#timed(async () => {
        const put = await persist('PUT', `${this.#url}/v1/objects/${name}`, body, RETRY_MS, () => { this.#retries += 1; });
        if (put.status > 201) throw new Error(`PUT ${name}: ${put.status} ${put.body.toString()}`);
        this.acknowledged.set(name, digestOf(body));
      });
      await this.#timed(async () => {
        const got = await persist('GET', `${this.#url}/v1/objects/${name}`, null, RETRY_MS, () => { this.#retries += 1; });
        if (got.status !== 200 || digestOf(got.body) !== this.acknowledged.get(name)) throw new Error(`GET ${name}: ${got.status}, not what was put last`);
      });
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }

  async #timed(operation: () => Promise<void>): Promise<void> {
    const begin = performance.now();
    this.#operations += 1;
    await operation().catch((error: unknown) => { this.#failures.push(error instanceof Error ? error.message : String(error)); });
    this.#longestMs = Math.max(this.#longestMs, performance.now() - begin);
  }
}
