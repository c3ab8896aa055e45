/** The short set of chaos scenarios: real processes, some minutes, nothing beside them. */
import config from './jest.config.js';

export default { ...config, testMatch: ['<rootDir>/test/chaos/**/*.chaos.ts'], maxWorkers: 1 };
