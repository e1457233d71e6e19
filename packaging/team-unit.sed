# jobspool@NAME.service out of jobspool.service: one spool per team, with its own users and its configuration in it.
s|^Description=.*|Description=jobspool for %i, a job queue that is a directory|
s|/var/spool/jobspool|/var/spool/jobspool@%i|g
s| --config /etc/jobspool/jobspool.toml --no-web||
s|^User=jobspool$|User=jobspool-%i|
s|^Group=jobspool-admin$|Group=jobspool-%i-admin\nEnvironment=JOBSPOOL_ADMIN_GROUP=jobspool-%i-admin|
s|^SyslogIdentifier=.*|SyslogIdentifier=jobspoold@%i|
/^# The key of sealed fields/d
/^LoadCredential=/d
