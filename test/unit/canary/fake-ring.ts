/**
 * A ring as its clients see it, in virtual time: one linearizable register a name, with refusals, answers that never come
 * and writes that apply long after. All of that is allowed. What isn't is planted by a test.
 */
import type { HttpClient, HttpRequest, HttpResponse } from '../../../src/ports/http-client.ts';
import type { Random } from '../../../src/ports/random.ts';
import type { SimClock } from '../../../src/sim/sim-clock.ts';
import { chance } from '../../../src/sim/sim-random.ts';

export interface Stored {
  readonly body: Buffer;
  readonly etag: string;
}

export class FakeRing implements HttpClient {
  readonly objects = new Map<string, Stored>();
  readonly requests: HttpRequest[] = [];
  /** Of a request: refused, or without an answer. */
  troubleRate = 0;
  /** Looks at a write that is about to apply; false: it is acknowledged and forgotten. */
  keeps: (name: string, request: HttpRequest) => boolean = () => true;
  /** Changes what a read is answered. */
  shows: (name: string, stored: Stored | null) => Stored | null = (_name, stored) => stored;
  readonly #clock: SimClock;
  readonly #random: Random;
  #writes = 0;

  constructor(clock: SimClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    this.requests.push(request);
    await this.#clock.sleep(1 + this.#random.below(40));
    if (!chance(this.#random, this.troubleRate)) return this.#answer(request);
    const isLate = chance(this.#random, 0.5);
    switch (this.#random.below(4)) {
      case 0:
        throw new Error('no answer from http://x (connect ECONNREFUSED)');
      case 1:
        return problem(503, { code: 'DHT_ERR_NO_QUORUM', outcome: 'not-applied' });
      case 2:
        await this.#clock.sleep(request.idleTimeoutMs);
        throw new Error('no answer from http://x (nothing came for 10 s)');
      default:
        // It applies, at once or long after the client gave up.
        this.#clock.after(isLate ? this.#random.below(120_000) : 0, () => void this.#answer(request));
        await this.#clock.sleep(request.idleTimeoutMs);
        throw new Error('no answer from http://x (nothing came for 10 s)');
    }
  }

  upload(): Promise<HttpResponse> {
    return Promise.reject(new Error('not used'));
  }

  download(): Promise<never> {
    return Promise.reject(new Error('not used'));
  }

  #answer(request: HttpRequest): HttpResponse {
    const { method, headers } = request;
    const target = new URL(request.url);
    const name = decodeURIComponent(target.pathname.slice('/v1/objects/'.length));
    if (name === '') return answer(200, {}, Buffer.from(JSON.stringify({ objects: [...this.objects.keys()].filter((one) => one.startsWith(target.searchParams.get('prefix') ?? '')).slice(0, 10).map((one) => ({ name: one })), commonPrefixes: [] })));
    const stored = this.objects.get(name) ?? null;
    if (method === 'GET') {
      const shown = this.shows(name, stored);
      return shown === null ? problem(404, { code: 'DHT_ERR_NOT_FOUND' }) : answer(200, { etag: shown.etag }, shown.body);
    }
    const mayApply = (headers['if-match'] === undefined || headers['if-match'] === stored?.etag) && (headers['if-none-match'] === undefined || stored === null);
    if (!mayApply) return problem(412, { code: 'DHT_ERR_PRECONDITION_FAILED', outcome: 'not-applied' });
    const etag = `"${(this.#writes += 1)}"`;
    if (this.keeps(name, request)) {
      if (method === 'DELETE') this.objects.delete(name);
      else this.objects.set(name, { body: Buffer.from(request.body ?? []), etag });
    }
    return answer(method === 'DELETE' ? 204 : 200, method === 'DELETE' ? {} : { etag }, Buffer.alloc(0));
  }
}

function answer(status: number, headers: Readonly<Record<string, string>>, body: Buffer): HttpResponse {
  return { status, headers: new Map(Object.entries(headers)), body };
}

function problem(status: number, value: unknown): HttpResponse {
  return answer(status, {}, Buffer.from(JSON.stringify(value)));
}
