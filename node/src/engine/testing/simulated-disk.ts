/** The disk of tests whose folders know the engine and not the storage beneath it. */
export { SimulatedFileSystem } from '../../storage/testing/simulated-file-system.ts';
