//! Projects, and the claim by which one master at a time looks after each.

use super::changes::Topic;
use super::row::{Columns as _, readable};
use super::{Claim, Reader, Result, Store, mainlines, now};
use protocol::api::ByHand;
use protocol::{CommitId, ProjectId, ProjectName, UnixMs};
use sqlx::any::AnyRow;

/// A project as stored.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its number.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// Where the official repository is.
    pub url: String,
    /// Its mainline branch.
    pub mainline: String,
    /// The commit that mainline was last seen at.
    pub tip: Option<CommitId>,
    /// The commit of mainline up to which candidates were told what moved.
    pub followed: Option<CommitId>,
    /// The commit of it up to which rows were compared with what it holds.
    pub compared: Option<CommitId>,
    /// When it was seen to get there.
    pub tip_seen: Option<UnixMs>,
    /// What is wrong with mainline.
    pub trouble: Option<String>,
    /// The stable word of that.
    pub trouble_code: String,
    /// Where the recipe comes from, for people.
    pub recipe_from: String,
    /// Whether the queue is paused.
    pub paused: bool,
    /// Who paused it; none also where an earlier version did not keep that.
    pub pause: Option<ByHand>,
}

pub(super) fn read(row: &AnyRow) -> Result<Project> {
    Ok(Project {
        id: row.num("id")?,
        name: row.parsed("name")?,
        url: row.text("url")?,
        mainline: row.text("mainline")?,
        tip: row.parsed_or_none("tip")?,
        followed: row.parsed_or_none("followed")?,
        compared: row.parsed_or_none("compared")?,
        tip_seen: row.num_or_none("tip_seen_ms")?,
        trouble: row.text_or_none("trouble")?,
        trouble_code: row.text("trouble_code")?,
        recipe_from: row.text("recipe_from")?,
        paused: row.flag("paused")?,
        pause: row.json_or_none("pause")?,
    })
}

impl Store {
    /// Makes a project, or brings its URL and mainline branch up to date with the configuration.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure_project(&self, name: &ProjectName, url: &str, mainline: &str) -> Result<Project> {
        self.write
            .turn(async |turn| {
                let query = sqlx::query(
                    "INSERT INTO project (name, url, mainline, made_ms) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (name) DO UPDATE SET url = excluded.url,
                         mainline = excluded.mainline RETURNING *",
                );
                let query = query.bind(name.as_str()).bind(url).bind(mainline).bind(now().0);
                turn.keep();
                read(&query.fetch_one(&mut **turn).await?)
            })
            .await
    }
}

impl Reader {
    /// All projects, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn projects(&self) -> Result<Vec<Project>> {
        let rows = sqlx::query("SELECT * FROM project ORDER BY name").fetch_all(&mut *self.read().await?).await?;
        readable("project", &rows, read)
    }

    /// A project by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn project(&self, name: &ProjectName) -> Result<Option<Project>> {
        let row = sqlx::query("SELECT * FROM project WHERE name = $1").bind(name.as_str());
        row.fetch_optional(&mut *self.read().await?).await?.as_ref().map(read).transpose()
    }

    /// A project by number.
    ///
    /// # Errors
    /// When the database fails, or there is no such project.
    pub async fn project_by_id(&self, id: ProjectId) -> Result<Project> {
        read(
            &sqlx::query(
                "SELECT * FROM project
            WHERE id = $1",
            )
            .bind(id.0)
            .fetch_one(&mut *self.read().await?)
            .await?,
        )
    }
}

impl Store {
    /// Claims a project for `owner`, or renews its claim; none when another owner's has not expired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_project(&self, id: ProjectId, owner: &str, for_ms: i64) -> Result<Option<Claim>> {
        let now = now().0;
        self.write
            .turn(async |turn| {
                let query = sqlx::query(
                    "UPDATE project SET owned_until_ms = $3,
                        fence = CASE WHEN owner = $2 THEN fence ELSE fence + 1 END, owner = $2
                     WHERE id = $1 AND (owner IS NULL OR owner = $2 OR owned_until_ms < $4) RETURNING fence",
                );
                let query = query.bind(id.0).bind(owner).bind(now + for_ms).bind(now);
                turn.keep();
                let row = query.fetch_optional(&mut **turn).await?;
                row.map(|row| Ok(Claim { project: id, fence: row.num("fence")? })).transpose()
            })
            .await
    }

    /// Gives a claim back, so that another master need not wait for it to expire.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_project(&self, claim: Claim) -> Result<()> {
        self.write
            .execute(
                sqlx::query(
                    "UPDATE project SET owner = NULL, owned_until_ms = 0
                    WHERE id = $1 AND fence = $2",
                )
                .bind(claim.project.0)
                .bind(claim.fence.0),
            )
            .await?;
        Ok(())
    }

    /// Records where mainline is, under a claim, unless a landing has moved it on from where it `was` when the look began.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn set_tip(&self, claim: Claim, was: Option<&CommitId>, tip: &CommitId, recipe_from: &str) -> Result<()> {
        let at = now();
        self.write
            .turn_under(claim, async |turn| {
                let done = sqlx::query(
                    "UPDATE project SET tip_seen_ms = CASE WHEN tip = $2 THEN tip_seen_ms ELSE $3 END,
                tip = $2, trouble = NULL,
             recipe_from = $4 WHERE id = $1 AND COALESCE(tip, '') = $5 AND (COALESCE(tip,
                 '') <> $2 OR trouble IS NOT NULL OR recipe_from <> $4)",
                )
                .bind(claim.project.0)
                .bind(tip.as_str())
                .bind(at.0)
                .bind(recipe_from)
                .bind(was.map_or("", CommitId::as_str))
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() > 0 {
                    if was != Some(tip) {
                        mainlines::came_to(turn, claim.project, tip, None, at).await?;
                    }
                    turn.keep();
                    turn.changed(claim.project, Topic::Mainline, 0);
                }
                Ok(())
            })
            .await
    }

    /// Records under a claim that rows were compared with all that mainline holds at `tip`.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn set_compared(&self, claim: Claim, tip: &CommitId) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let query = sqlx::query("UPDATE project SET compared = $2 WHERE id = $1");
                query.bind(claim.project.0).bind(tip.as_str()).execute(&mut **turn).await?;
                turn.keep();
                Ok(())
            })
            .await
    }

    /// Records what is wrong with mainline, by its stable word and in words, or that nothing is any more, under a claim.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn set_project_trouble(&self, claim: Claim, trouble: Option<(&str, &str)>) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let done = sqlx::query(
                    "UPDATE project SET trouble = $2, trouble_code = $3 WHERE id = $1
                AND COALESCE(trouble, '') <> COALESCE($2, '')",
                )
                .bind(claim.project.0)
                .bind(trouble.map(|(_, text)| text))
                .bind(trouble.map_or("", |(code, _)| code))
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() > 0 {
                    turn.keep();
                    turn.changed(claim.project, Topic::Mainline, 0);
                }
                Ok(())
            })
            .await
    }
}
