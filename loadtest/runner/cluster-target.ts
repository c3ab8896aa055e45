/**
 * A release of the chart, through its Service. Where this machine can't reach the Service's address, through
 * `kubectl port-forward`, which ends at one pod: good enough to see that it works, not for figures or faults.
 */
import { spawn } from 'node:child_process';
import { fullname, KubeClient } from '../../test/kube/kube-client.ts';
import { freePorts, until } from '../../test/support/real-ring.ts';
import { buildOf, machine, type Faults, type Target } from './target.ts';

const ADMIN_PORT = 9464;
const REACHABLE_MS_MAX = 3_000;
const FORWARDED_MS_MAX = 15_000;
const READY_MS_MAX = 300_000;
const ADDED = 2;

export async function clusterTarget(release: string, namespace: string, mayMakeFaults: boolean): Promise<Target> {
  const client = new KubeClient(namespace);
  const set = await client.apps.readNamespacedStatefulSet({ namespace, name: fullname(release) });
  const replicas = set.spec?.replicas ?? 0;
  const serviceUrl = await client.serviceUrl(release);
  const pods = await client.pods(release);
  const isReachable = await answers(serviceUrl);
  const adminUrls: string[] = [];
  for (const { ip } of isReachable ? pods : []) if (await answers(`http://${ip}:${ADMIN_PORT}`)) adminUrls.push(`http://${ip}:${ADMIN_PORT}`);
  const environment = {
    target: `release ${release} in ${namespace}, ${isReachable ? 'its Service' : 'one pod through kubectl port-forward'}`,
    replicas, chartVersion: set.metadata?.labels?.['helm.sh/chart'] ?? null, machine: machine(), ...(adminUrls[0] !== undefined && (await buildOf(adminUrls[0]))),
  };
  const faults = mayMakeFaults ? clusterFaults(client, release, replicas) : null;
  if (isReachable) return { baseUrls: [serviceUrl], adminUrls, environment, faults, stop: () => Promise.resolve() };
  const { url, stop } = await portForward(release, namespace);
  return { baseUrls: [url], adminUrls: [], environment, faults, stop };
}

function clusterFaults(client: KubeClient, release: string, replicas: number): Faults {
  return {
    async kill() {
      const victim = (await client.pods(release)).at(-1)?.name ?? '';
      await client.deletePod(victim, 0);
      return `${victim} was killed`;
    },
    async bringBack() {
      await client.untilReady(release, replicas, READY_MS_MAX);
      return 'all pods are ready again';
    },
    async grow() {
      await client.scale(release, replicas + ADDED);
      await client.untilReady(release, replicas + ADDED, READY_MS_MAX);
      return `${ADDED} pods joined`;
    },
  };
}

async function answers(url: string): Promise<boolean> {
  return await fetch(url, { signal: AbortSignal.timeout(REACHABLE_MS_MAX) }).then(() => true, () => false);
}

async function portForward(release: string, namespace: string): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const [port = 0] = await freePorts(1);
  const child = spawn('kubectl', ['--namespace', namespace, 'port-forward', `service/${fullname(release)}`, `${port}:http`], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((resolve) => { child.once('close', () => { resolve(); }); });
  child.on('error', (error) => { console.error(`kubectl port-forward: ${error.message}`); });
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  try {
    await until(() => answers(url), FORWARDED_MS_MAX, `kubectl forwards ${url}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}
