import setUpTheOthers from '../jest-setup';
import { prepareCluster } from './prepare';

export default async function setUp(): Promise<void> {
  await prepareCluster();
  await setUpTheOthers();
}
