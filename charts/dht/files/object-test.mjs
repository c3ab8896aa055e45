// helm test: stores a random object through the client Service, reads it back, and removes it.
// Arguments: the gateway's URL. GATEWAY_TOKENS: lines of name:token, when the gateway wants one.
import { createHash, randomBytes } from 'node:crypto';

const [gateway] = process.argv.slice(2);
// The gateway's certificate names what clients call it, which is not this Service's name.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
const token = (process.env.GATEWAY_TOKENS ?? '').split('\n')[0].split(':').slice(1).join(':').trim();
const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
const body = randomBytes(300_000);
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const url = `${gateway}/v1/objects/helm-test/${randomBytes(8).toString('hex')}`;

async function expect(what, status, init) {
  const response = await fetch(url, { ...init, headers, signal: AbortSignal.timeout(20_000) });
  if (response.status !== status) throw new Error(`${what}: ${response.status} ${await response.text()}`);
  console.log(`${what}: ${response.status}`);
  return response;
}

await expect('PUT', 201, { method: 'PUT', body });
const read = Buffer.from(await (await expect('GET', 200, {})).arrayBuffer());
if (digest(read) !== digest(body)) throw new Error('GET gave other bytes than PUT stored');
const head = await expect('HEAD', 200, { method: 'HEAD' });
if (Number(head.headers.get('content-length')) !== body.length) throw new Error('HEAD gave another length');
await expect('DELETE', 204, { method: 'DELETE' });
await expect('GET after DELETE', 404, {});
console.log('an object was stored, read back with its digest, and removed');
