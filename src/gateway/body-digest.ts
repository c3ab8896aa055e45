/**
 * Digests that a client announces for its body, checked before anything is committed: Content-MD5, Content-Digest and
 * Repr-Digest (the same here, for bodies are stored as they come). Algorithms we don't know are ignored, as they must
 * be; a header that can't be read is an error, for its sender believes that it protects something.
 * Source: [RFC 9530] "The Content-Digest Field"; [RFC 1864].
 */
import { createHash, hash, type Hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface AnnouncedDigest {
  readonly header: string;
  readonly algorithm: 'md5' | 'sha256' | 'sha512';
  readonly base64: string;
}

const ALGORITHMS: ReadonlyMap<string, { readonly algorithm: AnnouncedDigest['algorithm']; readonly bytes: number }> = new Map([
  ['md5', { algorithm: 'md5', bytes: 16 }],
  ['sha-256', { algorithm: 'sha256', bytes: 32 }],
  ['sha-512', { algorithm: 'sha512', bytes: 64 }],
]);

const NONE: readonly AnnouncedDigest[] = [];

/** The digests to check, or a sentence that says which header can't be read. */
export function announcedDigests(headers: IncomingHttpHeaders): readonly AnnouncedDigest[] | string {
  const md5 = headers['content-md5'];
  const content = headers['content-digest'];
  const repr = headers['repr-digest'];
  if (md5 === undefined && content === undefined && repr === undefined) return NONE;
  const digests: AnnouncedDigest[] = [];
  if (md5 !== undefined) {
    const base64 = canonicalBase64(String(md5).trim(), 16);
    if (base64 === null) return 'Content-MD5 is not the base64 of 16 bytes.';
    digests.push({ header: 'Content-MD5', algorithm: 'md5', base64 });
  }
  for (const [header, value] of [['Content-Digest', content], ['Repr-Digest', repr]] as const) {
    if (value === undefined) continue;
    for (const member of String(value).split(',')) {
      const match = /^[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):[ \t]*(?:;.*)?$/.exec(member);
      if (match === null) return `${header} is not a list of algorithm=:base64: members.`;
      const known = ALGORITHMS.get(match[1] ?? '');
      if (known === undefined) continue;
      const base64 = canonicalBase64(match[2] ?? '', known.bytes);
      if (base64 === null) return `${header} has a ${match[1] ?? ''} that is not the base64 of ${known.bytes} bytes.`;
      digests.push({ header, algorithm: known.algorithm, base64 });
    }
  }
  return digests;
}

function canonicalBase64(text: string, byteCount: number): string | null {
  const bytes = Buffer.from(text, 'base64');
  const canonical = bytes.toString('base64');
  return bytes.length === byteCount && canonical.replaceAll('=', '') === text.replaceAll('=', '') ? canonical : null;
}

/** The first announced digest that the body doesn't have, in words; null when all hold. */
export function digestMismatch(body: Buffer, digests: readonly AnnouncedDigest[]): string | null {
  for (const { header, algorithm, base64 } of digests) {
    const actual = hash(algorithm, body, 'base64');
    if (actual !== base64) return `${header} announced ${algorithm} ${base64}, the ${body.length} bytes received have ${actual}.`;
  }
  return null;
}

/** The same for a body that comes piece by piece. */
export class DigestCheck {
  readonly #digests: readonly (AnnouncedDigest & { readonly hash: Hash })[];

  constructor(digests: readonly AnnouncedDigest[]) {
    this.#digests = digests.map((digest) => ({ ...digest, hash: createHash(digest.algorithm) }));
  }

  update(bytes: Buffer): void {
    for (const { hash: running } of this.#digests) running.update(bytes);
  }

  /** To be asked once, after the last byte. */
  mismatch(): string | null {
    for (const { header, algorithm, base64, hash: running } of this.#digests) {
      const actual = running.digest('base64');
      if (actual !== base64) return `${header} announced ${algorithm} ${base64}, the bytes received have ${actual}.`;
    }
    return null;
  }
}
