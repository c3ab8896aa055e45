/**
 * What a client without patience sees: requests that come at fixed times whatever became of those before (an open model:
 * one that waits for its answers hides the time in which there are none), each on a connection of its own through the
 * Service, tried once.
 */
import { requestTo } from '../support/http-or-https.ts';

/** Milliseconds until a request counts as not answered. */
const TRY_MS_MAX = 5_000;
/** Names that are put and read. */
const NAMES = 100;
const BODY = Buffer.alloc(4096, 'availability');

export interface Availability {
  readonly requests: number;
  readonly failed: number;
  /** Longest time between two requests that were sent one after the other and both answered, over all that failed in between, ms. */
  readonly longestGapMs: number;
  /** Times of answers, ms. */
  readonly median: number;
  readonly p99: number;
  readonly reasons: ReadonlyMap<string, number>;
}

const STORED_AT_ONCE = 8;
const STORE_MS_MAX = 120_000;

interface Sample {
  readonly sentAt: number;
  readonly ms: number;
  readonly failure: string | null;
}

export class Probe {
  readonly #url: string;
  readonly #samples: Sample[] = [];
  readonly #open = new Set<Promise<void>>();
  readonly #timer: ReturnType<typeof setInterval>;
  #sent = 0;

  /** Four of five requests are gets. */
  constructor(url: string, perSecond: number) {
    this.#url = url;
    const beganAt = performance.now();
    this.#timer = setInterval(() => {
      // As many as should have been sent by now: a late timer doesn't lower the rate.
      while (this.#sent < (performance.now() - beganAt) / 1000 * perSecond) {
        const one: Promise<void> = this.#send(this.#sent++).then(() => { this.#open.delete(one); });
        this.#open.add(one);
      }
    }, 5);
  }

  /** Every name is stored, so that a 404 is a wrong answer. */
  static async begin(url: string, perSecond: number): Promise<Probe> {
    let next = 0;
    const endAt = performance.now() + STORE_MS_MAX;
    await Promise.all(Array.from({ length: STORED_AT_ONCE }, async () => {
      for (let i = next++; i < NAMES; i = next++) {
        for (let failure = await store(i, url); failure !== null; failure = await store(i, url)) {
          if (performance.now() > endAt) throw new Error(`probe/${i} can't be stored: ${failure}`);
        }
      }
    }));
    return new Probe(url, perSecond);
  }

  async end(): Promise<Availability> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    return availabilityOf(this.#samples);
  }

  async #send(i: number): Promise<void> {
    const sentAt = performance.now();
    const isPut = i % 5 === 0;
    const failure = await once(isPut ? 'PUT' : 'GET', `${this.#url}/v1/objects/probe/${i * 7 % NAMES}`, isPut ? BODY : null);
    this.#samples.push({ sentAt, ms: performance.now() - sentAt, failure });
  }
}

export function availabilityOf(samples: readonly Sample[]): Availability {
  const inOrder = [...samples].sort((a, b) => a.sentAt - b.sentAt);
  const reasons = new Map<string, number>();
  let longestGapMs = 0;
  let lastAnswered: number | null = null;
  let hasFailed = false;
  for (const { sentAt, failure } of inOrder) {
    if (failure !== null) {
      hasFailed = true;
      reasons.set(failure, (reasons.get(failure) ?? 0) + 1);
      continue;
    }
    if (hasFailed && lastAnswered !== null) longestGapMs = Math.max(longestGapMs, sentAt - lastAnswered);
    lastAnswered = sentAt;
    hasFailed = false;
  }
  const times = inOrder.filter(({ failure }) => failure === null).map(({ ms }) => ms).sort((a, b) => a - b);
  return { requests: inOrder.length, failed: inOrder.length - times.length, longestGapMs, median: quantile(times, 0.5), p99: quantile(times, 0.99), reasons };
}

/** Of sorted numbers; 0 when there is none. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0;
}

const store = (i: number, url: string): Promise<string | null> => once('PUT', `${url}/v1/objects/probe/${i}`, BODY);

/** Null: answered as it should be. */
function once(method: string, url: string, body: Buffer | null): Promise<string | null> {
  return new Promise((resolve) => {
    const call = requestTo(url, { method, agent: false, headers: body === null ? {} : { 'content-length': body.length } }, (response) => {
      let bytes = 0;
      response.on('data', (piece: Buffer) => { bytes += piece.length; });
      response.on('error', (error) => { done(error.message); });
      response.on('end', () => {
        const { statusCode = 0 } = response;
        done(statusCode >= 300 ? String(statusCode) : method === 'GET' && bytes !== BODY.length ? `${bytes} bytes` : null);
      });
    });
    const timer = setTimeout(() => { call.destroy(new Error('no answer')); }, TRY_MS_MAX);
    const done = (failure: string | null): void => {
      clearTimeout(timer);
      resolve(failure);
    };
    call.on('error', (error: Error & { code?: string }) => { done(error.code ?? error.message); });
    call.end(body ?? undefined);
  });
}
