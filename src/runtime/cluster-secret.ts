/**
 * The cluster secret: one text that all nodes of a ring share, and the keys derived from it. Nothing uses the secret
 * itself; each purpose has a key of its own by HKDF-SHA256 with the purpose as label, so that showing one (the admin
 * token) tells nothing about another (the transport key).
 *
 * Rotation: the text may have two lines. The first secret is used, the second is accepted too. Give all nodes old and
 * new, then new and old, then new alone.
 * Source: [RFC5869] "HKDF-Expand"; protocol section G "Auth/encryption".
 */
import { hkdfSync } from 'node:crypto';
import { DhtError } from '../domain/error-catalogue.ts';
import { CLUSTER_SECRET_BYTES_MIN } from '../domain/limits.ts';

export interface ClusterSecret {
  /** What this node dials with and derives tokens from. */
  readonly active: Buffer;
  /** What it lets in: the active one, and during a rotation a second one. */
  readonly accepted: readonly Buffer[];
}

const DERIVED_BYTES = 32;
const SALT = 'dht cluster secret 1';
const SECRETS_MAX = 2;

/** The secrets in a setting or a file; refuses short ones (DHT_ERR_SETTING_INVALID), never showing them. */
export function parseClusterSecret(text: string): ClusterSecret {
  const secrets = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '').map((line) => Buffer.from(line, 'utf8'));
  const [active] = secrets;
  if (active === undefined) throw new DhtError('DHT_ERR_SETTING_INVALID', 'the cluster secret is empty');
  if (secrets.length > SECRETS_MAX) throw new DhtError('DHT_ERR_SETTING_INVALID', `the cluster secret has ${secrets.length} lines: one is used, a second one accepted during a rotation`);
  for (const secret of secrets) {
    if (secret.length >= CLUSTER_SECRET_BYTES_MIN) continue;
    throw new DhtError('DHT_ERR_SETTING_INVALID', `the cluster secret has ${secret.length} bytes, at least ${CLUSTER_SECRET_BYTES_MIN} are needed`);
  }
  return { active, accepted: secrets };
}

/** A key of its own for each label. */
export function deriveSecret(secret: Uint8Array, label: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, SALT, label, DERIVED_BYTES));
}

/** The bearer token of the admin port. */
export function adminToken(secret: ClusterSecret): string {
  return deriveSecret(secret.active, 'admin').toString('hex');
}

/** A pre-shared key for TLS and the name it goes by on the wire. */
export interface TransportKey {
  readonly identity: string;
  readonly psk: Buffer;
}

export function transportKey(secret: Uint8Array): TransportKey {
  return { identity: deriveSecret(secret, 'transport key id').toString('hex', 0, 8), psk: deriveSecret(secret, 'transport') };
}
