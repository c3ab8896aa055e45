/** The tests on a real Kubernetes cluster: `npm run test:kube`. One after the other, each with minutes to spare. */
import config from './jest.config.js';

export default { ...config, testMatch: ['<rootDir>/test/kube/**/*.kube.ts'], maxWorkers: 1, testTimeout: 600_000, bail: false };
