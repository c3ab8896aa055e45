/** Looks at the pods' metrics every second and at the ring's layouts more often, while something happens. */
import type { RingView } from '../../src/node/node-service.ts';
import type { KubeClient } from './kube-client.ts';
import { http } from '../support/persistent-load.ts';

const ADMIN_PORT = 9464;

export async function adminJson<T>(ip: string, route: string): Promise<T> {
  const { status, body } = await http('GET', `http://${ip}:${ADMIN_PORT}${route}`);
  if (status !== 200) throw new Error(`${route} at ${ip}: ${status} ${body.toString()}`);
  return JSON.parse(body.toString()) as T;
}

/** The sum over the label sets that contain all of these labels; null: the pod doesn't answer. */
export async function metric(ip: string, name: string, labels = ''): Promise<number | null> {
  const answer = await http('GET', `http://${ip}:${ADMIN_PORT}/metrics`).catch(() => null);
  if (answer?.status !== 200) return null;
  let sum = 0;
  for (const line of answer.body.toString().split('\n')) {
    if ((line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels)) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

export interface Watched {
  /** Ranges below their majority, summed over the pods, at each scrape. */
  readonly unavailable: readonly number[];
  /** One for each layout at rest, in order. */
  readonly stable: readonly RingView[];
  /** Bytes moved since the watch began, over all pods that ever lived in it. */
  readonly movedBytes: number;
}

export class RingWatch {
  readonly #client: KubeClient;
  readonly #release: string;
  #isRunning = true;
  readonly #unavailable: number[] = [];
  readonly #stable: RingView[] = [];
  readonly #movedBefore = new Map<string, number>();
  readonly #movedNow = new Map<string, number>();
  readonly #loops: readonly Promise<void>[];

  private constructor(client: KubeClient, release: string) {
    this.#client = client;
    this.#release = release;
    this.#loops = [this.#every(1000, () => this.#scrape()), this.#every(50, () => this.#look())];
  }

  static async begin(client: KubeClient, release: string): Promise<RingWatch> {
    const watch = new RingWatch(client, release);
    await watch.#scrape();
    for (const [uid, bytes] of watch.#movedNow) watch.#movedBefore.set(uid, bytes);
    return watch;
  }

  async end(): Promise<Watched> {
    this.#isRunning = false;
    await Promise.all(this.#loops);
    await this.#scrape();
    await this.#look();
    const movedBytes = [...this.#movedNow].reduce((sum, [uid, bytes]) => sum + bytes - (this.#movedBefore.get(uid) ?? 0), 0);
    return { unavailable: this.#unavailable, stable: this.#stable, movedBytes };
  }

  async #every(delayMs: number, run: () => Promise<void>): Promise<void> {
    while (this.#isRunning) {
      await run().catch(() => undefined);
      await new Promise((resolve) => { setTimeout(resolve, delayMs); });
    }
  }

  async #scrape(): Promise<void> {
    const pods = (await this.#client.pods(this.#release)).filter(({ ip, isReady }) => ip !== '' && isReady);
    let unavailable = 0;
    for (const { ip, uid } of pods) {
      unavailable += await metric(ip, 'dht_ring_ranges', 'status="unavailable"') ?? 0;
      const moved = await metric(ip, 'dht_rebalance_transferred_bytes_total', 'direction="in"');
      if (moved !== null) this.#movedNow.set(uid, moved);
    }
    this.#unavailable.push(unavailable);
  }

  async #look(): Promise<void> {
    const first = (await this.#client.pods(this.#release)).find(({ ip, isReady }) => ip !== '' && isReady);
    if (first === undefined) return;
    const ring = await adminJson<RingView>(first.ip, '/v1/ring');
    if (ring.phase === 'stable' && ring.epoch > (this.#stable.at(-1)?.epoch ?? 0)) this.#stable.push(ring);
  }
}
