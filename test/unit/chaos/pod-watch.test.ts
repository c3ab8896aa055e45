/** The log of a pod is followed for as long as it runs, whatever becomes of the stream that brings it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { PodWatch } from '../../chaos/pod-watch.ts';
import type { KubeClient } from '../../kube/kube-client.ts';
import { until } from '../../support/real-ring.ts';

const POD = { metadata: { name: 'dht-0', namespace: 'store', uid: '12345678-9' }, status: { containerStatuses: [{ name: 'dht', restartCount: 0, state: { running: {} } }] } };
const FOLLOWED_MS_MAX = 15_000;
const kubeConfig = process.env['KUBECONFIG'];

let directory = '';
let server: Server;
let requests = 0;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'dht-pod-watch-'));
  requests = 0;
  // The first stream breaks, as one does that brings nothing for five minutes.
  server = createServer((_request, response) => {
    requests += 1;
    response.write('first line\nunhandled rejection\n');
    if (requests === 1) setTimeout(() => { response.destroy(); }, 200);
    else response.end('second line\n');
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const file = path.join(directory, 'kubeconfig');
  writeFileSync(file, JSON.stringify({
    'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'c', 'clusters': [{ name: 'c', cluster: { 'server': `http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'insecure-skip-tls-verify': true } }],
    'contexts': [{ name: 'c', context: { cluster: 'c', user: 'u' } }], 'users': [{ name: 'u', user: {} }],
  }));
  process.env['KUBECONFIG'] = file;
});

afterEach(async () => {
  if (kubeConfig === undefined) delete process.env['KUBECONFIG'];
  else process.env['KUBECONFIG'] = kubeConfig;
  server.closeAllConnections();
  await new Promise((resolve) => { server.close(resolve); });
  rmSync(directory, { recursive: true });
});

test('a log whose stream breaks is read again from its beginning, and each line counts once', async () => {
  const client = { namespace: 'store', core: { listNamespacedPod: () => Promise.resolve({ items: [POD] }) } };
  const logs = path.join(directory, 'logs');
  const watch = await PodWatch.begin(client as unknown as KubeClient, 'dht', logs);
  const text = (): string => readdirSync(logs).map((name) => readFileSync(path.join(logs, name), 'utf8')).join('');
  await until(() => Promise.resolve(text().includes('second line')), FOLLOWED_MS_MAX, 'the log is followed again');
  await watch.end();
  expect(text()).toBe('first line\nunhandled rejection\nsecond line\n');
  expect(watch.neverLogged).toEqual(['dht-0 logged: unhandled rejection']);
});
