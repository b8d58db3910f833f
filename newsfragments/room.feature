The limit of open files is raised as far as the system allows, and no more clients are accepted than it has room for. A head that cannot be read is answered with 400 or 431 and a reason.
