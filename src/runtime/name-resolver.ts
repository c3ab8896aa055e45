/**
 * Names of peers to addresses, with a short memory. Asked of the DNS servers directly: the system's own look-up runs on
 * the thread pool, where it waits behind disk work (four busy threads made one wait four seconds). Only names that DNS
 * doesn't know (/etc/hosts, search domains) go there.
 * Source: protocol section D.5 "libuv pool starvation".
 */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

/** Milliseconds for which an address is believed; a failed dial ends it sooner. */
const MEMORY_MS = 5000;
const QUERY_TIMEOUT_MS = 300;
const QUERY_TRIES = 2;
/** Names remembered at most. */
const NAMES_MAX = 10_000;

export class NameResolver {
  readonly #resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
  readonly #known = new Map<string, { readonly address: string; readonly untilMs: number }>();

  /** An IP address for the host; rejects with the platform's error. */
  async resolve(host: string): Promise<string> {
    if (isIP(host) !== 0) return host;
    if (host === 'localhost') return '127.0.0.1';
    const known = this.#known.get(host);
    if (known !== undefined && known.untilMs > performance.now()) return known.address;
    const address = await this.#ask(host);
    if (this.#known.size >= NAMES_MAX) this.#known.clear();
    this.#known.set(host, { address, untilMs: performance.now() + MEMORY_MS });
    return address;
  }

  /** The address didn't answer: ask anew next time. */
  forget(host: string): void {
    this.#known.delete(host);
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
