/**
 * The metrics that the program offers, as its processes show them: a node of a ring of two, a pod that can ask the
 * Kubernetes API, with the optional metrics switched on; and the canary. Rules, panels and the reference for people are held
 * against them.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CanaryMetrics } from '../../src/canary/canary-metrics.ts';
import { PromMeter } from '../../src/metrics/prom-meter.ts';
import { MockApi } from '../support/mock-kubernetes-api.ts';
import { RealRing, until, type RealNode } from '../support/real-ring.ts';
import { parseExposition, type Family } from './exposition.ts';

const POD = path.resolve(import.meta.dirname, '../chaos/local-node.ts');
export const TOKEN = 'a-token-of-the-tests';

export class ScrapedRing {
  readonly #ring: RealRing;
  readonly #api: MockApi;
  readonly node: RealNode;

  private constructor(ring: RealRing, api: MockApi, node: RealNode) {
    this.#ring = ring;
    this.#api = api;
    this.node = node;
  }

  /** One node, alone in its ring, that answers requests with the token and has had none. */
  static async start(): Promise<ScrapedRing> {
    const api = await MockApi.start();
    api.statefulSet = { metadata: { name: 'dht', uid: 'u1' }, spec: { replicas: 1 } };
    const ring = await RealRing.create({ hasSecretFile: false });
    await writeFile(tokensFile(ring), `tests:${TOKEN}\n`, { mode: 0o600 });
    const scraped = new ScrapedRing(ring, api, await ring.add());
    await scraped.#start(scraped.node).catch(async (error: unknown) => {
      await scraped.stop();
      throw error;
    });
    return scraped;
  }

  /** A second node, whom the first one then shows as its peer. */
  async grow(): Promise<void> {
    await this.#start(await this.#ring.add());
    await until(async () => parseExposition(await this.scrape()).every(({ name, series }) => name !== 'dht_peer_last_contact_timestamp_seconds' || series.length > 0), 30_000, 'the first node shows the second');
  }

  async scrape(): Promise<string> {
    return (await fetch(`${this.node.adminUrl}/metrics`, { signal: AbortSignal.timeout(10_000) })).text();
  }

  async stop(): Promise<void> {
    await this.#ring.stop();
    await this.#api.stop();
  }

  async #start(node: RealNode): Promise<void> {
    this.#ring.start(node, [
      '--join', this.node.name, '--kubernetes-namespace', 'store', '--kubernetes-stateful-set', 'dht', '--kubernetes-secret', 'dht-cluster',
      '--metrics-per-peer', '--gateway-tokens-file', tokensFile(this.#ring),
    ], POD, { CHAOS_API: this.#api.url });
    await this.#ring.untilReady(node);
  }
}

const tokensFile = (ring: RealRing): string => path.join(ring.directory, 'tokens');

/** What the canary publishes before it has done anything. */
export function canaryScrape(): Promise<string> {
  const meter = new PromMeter({ version: '0', revision: '0', nodeVersion: '0' });
  new CanaryMetrics(meter, () => ({ objects: 0, doubtful: 0, unknownWrites: 0, oldestVerified: 0 }));
  return meter.text();
}

/** The families of both programs, each once. */
export async function familiesOf(nodeText: string): Promise<readonly Family[]> {
  const families = parseExposition(nodeText);
  const names = new Set(families.map(({ name }) => name));
  return [...families, ...parseExposition(await canaryScrape()).filter(({ name }) => !names.has(name))];
}

export async function knownMetrics(): Promise<ReadonlySet<string>> {
  const ring = await ScrapedRing.start();
  try {
    return new Set((await familiesOf(await ring.scrape())).map(({ name }) => name));
  } finally {
    await ring.stop();
  }
}
