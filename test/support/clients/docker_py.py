"""Every swarm method of python3-docker against the socket that DOCKER_HOST names. Ends with 0 when all answer as they do with Swarm."""
import docker

client = docker.from_env()
api = client.api
image = 'swarmctl-test:1'

assert api.ping() is True
info = client.info()['Swarm']
assert info['LocalNodeState'] == 'active' and info['ControlAvailable'], info

# The swarm itself.
swarm = client.swarm
swarm.reload()
assert swarm.attrs['JoinTokens']['Worker'].startswith('SWMTKN-'), swarm.attrs
before = swarm.attrs['JoinTokens']['Worker']
assert swarm.update(rotate_worker_token=True, task_history_retention_limit=4)
swarm.reload()
assert swarm.attrs['JoinTokens']['Worker'] != before
assert swarm.attrs['Spec']['Orchestration']['TaskHistoryRetentionLimit'] == 4
assert 'UnlockKey' in swarm.get_unlock_key()

# Nodes.
nodes = client.nodes.list()
assert nodes and client.nodes.list(filters={'role': 'manager'})
node = client.nodes.get(nodes[0].id)
spec = node.attrs['Spec']
assert node.update({**spec, 'Labels': {'zone': 'a'}})
node.reload()
assert node.attrs['Spec']['Labels'] == {'zone': 'a'}, node.attrs['Spec']
assert node.version == node.attrs['Version']['Index']

# Secrets, configs, networks.
secret = client.secrets.create(name='py-secret', data=b'hidden', labels={'a': '1'})
assert client.secrets.get(secret.id).name == 'py-secret'
assert client.secrets.list(filters={'name': 'py-secret'})
config = client.configs.create(name='py-config', data=b'shown', labels={'a': '1'})
assert client.configs.get(config.id).name == 'py-config'
assert client.configs.list(filters={'name': 'py-config'})
network = client.networks.create('py-net', driver='overlay', attachable=True, labels={'a': '1'})
assert client.networks.get(network.id).name == 'py-net'
assert client.networks.list(names=['py-net'])
assert client.networks.get('py-net', scope='swarm').attrs['Scope'] == 'swarm'

# Services.
types = docker.types
service = client.services.create(
    image,
    name='py',
    command='/serve',
    constraints=['node.platform.os==linux'],
    preferences=[('spread', 'node.labels.zone')],
    maxreplicas=3,
    container_labels={'c': '1'},
    endpoint_spec=types.EndpointSpec(mode='vip', ports={8301: (80, 'tcp', 'ingress')}),
    env=['A=1'],
    hostname='py-{{.Task.Slot}}',
    init=True,
    labels={'l': '1'},
    log_driver='json-file',
    log_driver_options={'max-size': '1m'},
    mode=types.ServiceMode('replicated', replicas=2),
    mounts=['data:/data:rw'],
    networks=[types.NetworkAttachmentConfig('py-net', aliases=['alias'])],
    resources=types.Resources(cpu_limit=500000000, mem_limit=64 << 20, cpu_reservation=100000000),
    restart_policy=types.RestartPolicy(condition='any', delay=1000000000, max_attempts=3),
    secrets=[types.SecretReference(secret.id, 'py-secret', mode=0o400)],
    configs=[types.ConfigReference(config.id, 'py-config', filename='/page')],
    stop_grace_period=2000000000,
    update_config=types.UpdateConfig(parallelism=2, delay=1, failure_action='rollback', monitor=1000000000, order='start-first'),
    healthcheck=types.Healthcheck(test=['CMD-SHELL', 'true'], interval=1000000000, retries=2),
    hosts={'a': '10.9.9.9'},
    dns_config=types.DNSConfig(nameservers=['9.9.9.9']),
    tty=False,
    open_stdin=False,
    read_only=False,
    stop_signal='SIGTERM',
    user='0',
    groups=['20'],
    workdir='/tmp',
    privileges=types.Privileges(selinux_disable=True),
    cap_add=['CAP_NET_RAW'],
    cap_drop=['CAP_MKNOD'],
)
service = client.services.get('py')
assert service.name == 'py' and service.version
assert client.services.get(service.id, insert_defaults=True)
assert [one.id for one in client.services.list(filters={'name': 'py'})] == [service.id]
assert service.scale(3)
service.reload()
assert service.attrs['Spec']['Mode'] == {'Replicated': {'Replicas': 3}}, service.attrs['Spec']['Mode']
assert service.force_update()
service.reload()
assert service.attrs['Spec']['TaskTemplate']['ForceUpdate'] > 0
assert service.update(image='swarmctl-test:2', labels={'l': '2'})
service.reload()
spec = service.attrs['Spec']
assert spec['TaskTemplate']['ContainerSpec']['Image'] == 'swarmctl-test:2', spec
assert spec['Labels'] == {'l': '2'} and spec['Mode'] == {'Replicated': {'Replicas': 3}}, spec
for task in service.tasks(filters={'desired-state': 'running'}):
    assert task['ServiceID'] == service.id
    assert api.inspect_task(task['ID'])['ID'] == task['ID']
assert isinstance(api.tasks(filters={'service': 'py'}), list)
logs = b''.join(service.logs(stdout=True, stderr=True, timestamps=True, tail=5))
assert isinstance(logs, bytes)
job = client.services.create(image, name='py-job', command='true', mode=types.ServiceMode('global'))
for one in (service, job):
    assert one.remove()
try:
    client.services.get('py')
    raise AssertionError('removed, and still there')
except docker.errors.NotFound:
    pass


def until_removed(remove):
    """What a service has used can go once its last task has gone."""
    import time
    for _ in range(300):
        try:
            return remove()
        except docker.errors.APIError as error:
            assert 'in use' in str(error), error
            time.sleep(0.1)
    raise AssertionError('still in use')


until_removed(secret.remove)
until_removed(config.remove)
until_removed(network.remove)
print('every method answered')
