/**
 * What the pods of an installation on loopback have mounted: the cluster secret, which the first of them put into the Secret
 * of the API, and each gateway's certificate; and how an operator replaces them.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { CERTIFICATE, CERTIFICATE_KEY, RENEWED_CERTIFICATE, RENEWED_CERTIFICATE_KEY } from '../support/gateway-certificate.ts';
import type { MockApi } from '../support/mock-kubernetes-api.ts';
import type { RealNode } from '../support/real-ring.ts';
import type { CertificateStep, SecretStep } from './chaos-ring.ts';

export class LocalCredentials {
  readonly #directory: string;
  readonly #api: MockApi;
  readonly hasCertificate: boolean;
  /** The old secret and the new one. */
  #rotation: readonly [string, string] | null = null;

  /** This process trusts the certificates, if there are any. */
  constructor(directory: string, api: MockApi, hasCertificate: boolean) {
    this.#directory = directory;
    this.#api = api;
    this.hasCertificate = hasCertificate;
    if (hasCertificate) setDefaultCACertificates([...getCACertificates('default'), CERTIFICATE, RENEWED_CERTIFICATE]);
  }

  get scheme(): 'http' | 'https' {
    return this.hasCertificate ? 'https' : 'http';
  }

  /** Empty before the first node has made one. */
  get secret(): string {
    return Buffer.from(this.#api.secret.data?.['secret'] ?? '', 'base64').toString();
  }

  /** Before the node's first start. */
  async prepare(node: RealNode): Promise<void> {
    node.scheme = this.scheme;
    if (!this.hasCertificate) return;
    await writeFile(this.#certificateOf(node.index), CERTIFICATE);
    await writeFile(this.#keyOf(node.index), CERTIFICATE_KEY);
  }

  /** The flags of a start. The kubelet mounts what the Secret has, so that a restart needs no API. */
  mount(node: RealNode): readonly string[] {
    const mounted = path.join(this.#directory, 'mounted-secret');
    if (this.secret !== '') writeFileSync(mounted, this.secret);
    return ['--cluster-secret-file', mounted, ...(this.hasCertificate ? ['--tls-cert-file', this.#certificateOf(node.index), '--tls-key-file', this.#keyOf(node.index)] : [])];
  }

  async replaceCertificate(ordinal: number, step: CertificateStep): Promise<void> {
    await (step === 'half' ? writeFile(this.#certificateOf(ordinal), RENEWED_CERTIFICATE) : writeFile(this.#keyOf(ordinal), RENEWED_CERTIFICATE_KEY));
  }

  rotateSecret(step: SecretStep): void {
    const [old, renewed] = this.#rotation ??= [this.secret, randomBytes(32).toString('hex')];
    const lines = { 'old-and-new': [old, renewed], 'new-and-old': [renewed, old], new: [renewed] }[step];
    this.#api.write({ secret: lines.join('\n') });
    if (step === 'new') this.#rotation = null;
  }

  #certificateOf(ordinal: number): string {
    return path.join(this.#directory, `gateway-${ordinal}.crt`);
  }

  #keyOf(ordinal: number): string {
    return path.join(this.#directory, `gateway-${ordinal}.key`);
  }
}
