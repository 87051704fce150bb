-- Builds in the order in which they are listed: of a project, of a branch, of a slave, and by their result.
CREATE INDEX build_project ON build (project_id, id);
CREATE INDEX build_branch ON build (branch_id, id);
CREATE INDEX build_slave ON build (slave_id, id);
CREATE INDEX build_result ON build (project_id, result, id);
