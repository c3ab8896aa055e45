/**
 * Looks at a release from outside while it is shaken: every pod's log is kept, as pods and their logs go away together;
 * every ring that a pod says it is in; every container that ended by itself.
 */
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { KubeConfig, Log, type V1Pod } from '@kubernetes/client-node';
import type { NodeView } from '../../src/node/node-service.ts';
import { adminJson, metric } from '../kube/ring-watch.ts';
import type { ClusterRing } from './cluster-ring.ts';

const LOOK_MS = 1_000;
/** Killed by a signal from outside, or ended as asked. */
const EXPECTED_CODES: readonly number[] = [0, 137, 143];
/** What a node must never log. */
const NEVER_LOGGED = /unhandled|uncaughtException|assertion/i;

export class ClusterMonitor {
  /** Ids of every ring that was seen. */
  readonly clusterIds = new Set<string>();
  readonly wrong: string[] = [];
  /** Containers that ended, by exit code. */
  readonly ends = new Map<number, number>();
  underReplicatedMax = 0;
  readonly #ring: ClusterRing;
  readonly #directory: string;
  readonly #config = new KubeConfig();
  readonly #followed = new Set<string>();
  readonly #ended = new Set<string>();
  #isRunning = true;
  readonly #loop: Promise<void>;

  constructor(ring: ClusterRing, directory: string) {
    this.#ring = ring;
    this.#directory = directory;
    this.#config.loadFromDefault();
    this.#loop = this.#run();
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
    const { client, release } = this.#ring;
    const { items } = await client.core.listNamespacedPod({ namespace: client.namespace, labelSelector: `app.kubernetes.io/instance=${release},app.kubernetes.io/component=node` });
    for (const pod of items) {
      this.#noteEnd(pod);
      this.#follow(pod);
    }
    let underReplicated = 0;
    await Promise.all(this.#ring.pods.filter(({ ip, isReady }) => ip !== '' && isReady).map(async ({ ip, name }) => {
      const view = await adminJson<NodeView>(ip, '/v1/node').catch(() => null);
      if (view !== null && view.clusterId !== null && !this.clusterIds.has(view.clusterId)) {
        this.clusterIds.add(view.clusterId);
        if (this.clusterIds.size > 1) this.wrong.push(`${name} is in a second ring, ${view.clusterId}`);
      }
      underReplicated = Math.max(underReplicated, await metric(ip, 'dht_replication_under_replicated_objects') ?? 0);
    }));
    this.underReplicatedMax = Math.max(this.underReplicatedMax, underReplicated);
  }

  #noteEnd(pod: V1Pod): void {
    for (const { name, state, lastState, containerID } of pod.status?.containerStatuses ?? []) {
      if (name !== 'dht') continue;
      const terminated = lastState?.terminated ?? state?.terminated;
      const id = terminated?.containerID ?? containerID ?? '';
      if (terminated === undefined || this.#ended.has(id)) continue;
      this.#ended.add(id);
      this.ends.set(terminated.exitCode, (this.ends.get(terminated.exitCode) ?? 0) + 1);
      if (!EXPECTED_CODES.includes(terminated.exitCode) || terminated.reason === 'OOMKilled') this.wrong.push(`${pod.metadata?.name ?? ''} ended by itself: code ${terminated.exitCode}, ${terminated.reason ?? ''}`);
    }
  }

  /** Follows the log of each start of each container. */
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
      if (NEVER_LOGGED.test(line)) this.wrong.push(`${name} logged: ${line.slice(0, 300)}`);
      file.write(`${line}\n`);
    });
    lines.on('close', () => { file.end(); });
    new Log(this.#config).log(namespace, name, 'dht', through, { follow: true }).catch(() => { this.#followed.delete(id); });
  }
}
