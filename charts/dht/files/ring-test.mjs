// helm test: every pod of the release is a member of one and the same ring, and all of it has its majority.
// Arguments: domain of the pods' names, admin port, replicas (0: not known to the chart).
import { promises as dns } from 'node:dns';

const [domain, port, replicas] = process.argv.slice(2);
const addresses = (await dns.lookup(domain, { all: true })).map(({ address, family }) => (family === 6 ? `[${address}]` : address));
if (Number(replicas) > 0 && addresses.length !== Number(replicas)) throw new Error(`${addresses.length} pods answer to ${domain}, ${replicas} are wanted`);

async function get(address, path) {
  const response = await fetch(`http://${address}:${port}${path}`, { signal: AbortSignal.timeout(20_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} at ${address}: ${response.status} ${text}`);
  return JSON.parse(text);
}

const clusters = new Set();
for (const address of addresses) {
  await get(address, '/healthz/cluster');
  const { clusterId, state } = await get(address, '/v1/node');
  const { members } = await get(address, '/v1/ring');
  console.log(`${address}: ${state}, ring ${clusterId}, ${members.length} members`);
  if (members.length !== addresses.length) throw new Error(`${address} sees ${members.length} members, there are ${addresses.length} pods`);
  clusters.add(clusterId);
}
if (clusters.size !== 1) throw new Error(`the pods are in ${clusters.size} rings: ${[...clusters].join(', ')}`);
console.log(`${addresses.length} pods share one ring`);
