/**
 * Names of peers to addresses, with a short memory. Asked of the DNS servers directly: the system's own look-up runs on
 * the thread pool, where it waits behind disk work (four busy threads made one wait four seconds). Only names that DNS
 * doesn't know (/etc/hosts, search domains) go there.
 * Source: protocol section D.5 "libuv pool starvation".
 */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Meter } from '../ports/meter.ts';

/** nxdomain: nobody knows the name. timeout: nobody answered for now. */
export type LookupResult = 'ok' | 'nxdomain' | 'timeout' | 'error';

/** Milliseconds for which an address is believed; a failed dial ends it sooner. */
const MEMORY_MS = 5000;
const QUERY_TIMEOUT_MS = 300;
const QUERY_TRIES = 2;
/** Names remembered at most. */
const NAMES_MAX = 10_000;
const LOOKUP_RESULTS: readonly LookupResult[] = ['ok', 'nxdomain', 'timeout', 'error'];

/** A counter of look-ups, for `onLookup`. */
export function countLookups(meter: Meter): (result: LookupResult) => void {
  const lookups = meter.counter({
    name: 'dht_peer_dns_lookups_total', help: 'Look-ups of the names of peers; addresses that are still remembered need none.', labelNames: ['result'],
    initial: LOOKUP_RESULTS.map((result) => ({ result })),
  });
  return (result) => { lookups.add(1, { result }); };
}

export class NameResolver {
  readonly #resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
  readonly #known = new Map<string, { readonly address: string; readonly untilMs: number }>();

  readonly #onLookup: (result: LookupResult) => void;

  constructor(onLookup: (result: LookupResult) => void = () => undefined) {
    this.#onLookup = onLookup;
  }

  /** An IP address for the host; rejects with the platform's error. */
  async resolve(host: string): Promise<string> {
    if (isIP(host) !== 0) return host;
    if (host === 'localhost') return '127.0.0.1';
    const known = this.#known.get(host);
    if (known !== undefined && known.untilMs > performance.now()) return known.address;
    const address = await this.#counted(host);
    if (this.#known.size >= NAMES_MAX) this.#known.clear();
    this.#known.set(host, { address, untilMs: performance.now() + MEMORY_MS });
    return address;
  }

  /** The address didn't answer: ask anew next time. */
  forget(host: string): void {
    this.#known.delete(host);
  }

  async #counted(host: string): Promise<string> {
    try {
      const address = await this.#ask(host);
      this.#onLookup('ok');
      return address;
    } catch (error) {
      this.#onLookup(failureOf(error));
      throw error;
    }
  }

  async #ask(host: string): Promise<string> {
    try {
      const [first] = await this.#resolver.resolve4(host);
      if (first !== undefined) return first;
    } catch {
      // Not known to DNS, or no DNS server: the system may know it.
    }
    return (await lookup(host)).address;
  }
}

function failureOf(error: unknown): LookupResult {
  switch (error instanceof Error && 'code' in error ? error.code : '') {
    case 'ENOTFOUND':
    case 'ENODATA':
      return 'nxdomain';
    case 'EAI_AGAIN':
    case 'ETIMEOUT':
    case 'ETIMEDOUT':
      return 'timeout';
    default:
      return 'error';
  }
}
