/** The pods of a release while they are shaken: every log is kept, as a pod's log goes with it, and every container that ended by itself is told. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';
import { KubeConfig, Log, type V1Pod } from '@kubernetes/client-node';
import type { KubeClient } from '../kube/kube-client.ts';

const LOOK_MS = 1_000;
/** Killed by a signal from outside, or ended as asked. */
const EXPECTED_CODES: readonly number[] = [0, 137, 143];
/** What a node must never log. */
const NEVER_LOGGED = /unhandled|uncaughtException|assertion|met an error of its own/i;
const EARLY = 'DHT_ERR_DATA_DIR_IN_USE';

export class PodWatch {
  readonly #neverLogged = new Set<string>();
  /** Containers that ended, by exit code. */
  readonly ends = new Map<number, number>();
  readonly #client: KubeClient;
  readonly #release: string;
  readonly #directory: string;
  readonly #config = new KubeConfig();
  readonly #unexpected: { readonly uid: string; readonly code: number; readonly text: string }[] = [];
  /** Pods that met the process of the one before: it may outlive a deletion by force, and the new one gives up until the next start. */
  readonly #early = new Set<string>();
  readonly #followed = new Set<string>();
  readonly #seen = new Set<string>();
  #isRunning = true;
  readonly #loop: Promise<void>;

  private constructor(client: KubeClient, release: string, directory: string) {
    this.#client = client;
    this.#release = release;
    this.#directory = directory;
    this.#config.loadFromDefault();
    this.#loop = this.#run();
  }

  /** Logs go to the directory. */
  static async begin(client: KubeClient, release: string, directory: string): Promise<PodWatch> {
    await mkdir(directory, { recursive: true });
    return new PodWatch(client, release, directory);
  }

  get neverLogged(): readonly string[] {
    return [...this.#neverLogged];
  }

  get unexpectedEnds(): readonly string[] {
    return this.#unexpected.filter(({ uid, code }) => code !== 1 || !this.#early.has(uid)).map(({ text }) => text);
  }

  async end(): Promise<void> {
    this.#isRunning = false;
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (this.#isRunning) {
      await this.#look().catch(() => undefined);
      await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
    }
  }

  async #look(): Promise<void> {
    const { items } = await this.#client.core.listNamespacedPod({ namespace: this.#client.namespace, labelSelector: `app.kubernetes.io/instance=${this.#release},app.kubernetes.io/component=node` });
    for (const pod of items) {
      this.#noteEnd(pod);
      this.#follow(pod);
    }
  }

  #noteEnd(pod: V1Pod): void {
    for (const { name, state, lastState, containerID } of pod.status?.containerStatuses ?? []) {
      if (name !== 'dht') continue;
      const terminated = lastState?.terminated ?? state?.terminated;
      const id = terminated?.containerID ?? containerID ?? '';
      if (terminated === undefined || this.#seen.has(id)) continue;
      this.#seen.add(id);
      this.ends.set(terminated.exitCode, (this.ends.get(terminated.exitCode) ?? 0) + 1);
      if (!EXPECTED_CODES.includes(terminated.exitCode) || terminated.reason === 'OOMKilled') {
        this.#unexpected.push({ uid: pod.metadata?.uid ?? '', code: terminated.exitCode, text: `${pod.metadata?.name ?? ''} ended by itself: code ${terminated.exitCode}, ${terminated.reason ?? ''}` });
      }
    }
  }

  /** Follows the log of each start of each container; from its beginning again when the stream breaks, as it does when a pod has logged nothing for five minutes. */
  #follow(pod: V1Pod): void {
    const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
    const status = pod.status?.containerStatuses?.find((container) => container.name === 'dht');
    if (status?.state?.running === undefined) return;
    const id = `${uid} ${status.restartCount}`;
    if (this.#followed.has(id)) return;
    this.#followed.add(id);
    const file = createWriteStream(path.join(this.#directory, `${name}-${uid.slice(0, 8)}-${status.restartCount}.log`));
    file.on('error', () => undefined);
    const through = new PassThrough();
    const lines = createInterface(through);
    lines.on('line', (line) => {
      if (line.includes(EARLY)) this.#early.add(uid);
      if (NEVER_LOGGED.test(line)) this.#neverLogged.add(`${name} logged: ${line.slice(0, 300)}`);
      file.write(`${line}\n`);
    });
    lines.on('close', () => { file.end(); });
    // The client pipes the answer and doesn't listen for its errors, which would end this process.
    through.once('pipe', (source: Readable) => {
      source.once('error', () => {
        through.end();
        this.#followed.delete(id);
      });
    });
    new Log(this.#config).log(namespace, name, 'dht', through, { follow: true }).catch(() => { this.#followed.delete(id); });
  }
}
