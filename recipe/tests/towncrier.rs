//! What a project's settings of towncrier come to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use changelog::{FoldAt, Format, FragmentKind, PathKind, Place};
use recipe::{Project, RecipeError};

fn read(files: &[(&str, &str)]) -> Result<Place, RecipeError> {
    let text = |path: &str| Some(files.iter().find(|(name, _)| *name == path)?.1.as_bytes().to_vec());
    let project = Project::read(text)?;
    let places = project.places(|_| false);
    assert_eq!(places.len(), 1);
    Ok(places[0].clone())
}

fn place(files: &[(&str, &str)]) -> Place {
    read(files).unwrap()
}

#[track_caller]
fn typed(place: &Place, path: &str) -> (String, Option<String>) {
    match place.classify(path.as_bytes()) {
        PathKind::Fragment(FragmentKind::Typed { heading, section, .. }) => (heading, section),
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn what_towncrier_has_if_nothing_is_said() {
    let place = place(&[("pyproject.toml", "[tool.towncrier]\n")]);
    assert_eq!((place.path.as_str(), place.format), ("NEWS.rst", Some(Format::Towncrier)));
    assert_eq!(place.rules.folder.as_deref(), Some("newsfragments"));
    assert_eq!(typed(&place, "newsfragments/12.bugfix.rst").0, "Bugfixes");
    assert_eq!(typed(&place, "newsfragments/+x.removal").0, "Deprecations and Removals");
    let towncrier = place.towncrier.unwrap();
    assert_eq!(
        towncrier.order,
        ["Features", "Bugfixes", "Improved Documentation", "Deprecations and Removals", "Misc"]
    );
    assert_eq!(towncrier.issues_only, ["Misc"]);
    assert_eq!(place.when, FoldAt::Landing);
}

#[test]
fn types_folders_and_the_rest_are_as_they_are_said() {
    let text = r##"
[project]
name = "heron"
[tool.towncrier]
package = "heron_kit"
package_dir = "src"
filename = "docs/changes.rst"
directory = "./changes/"
title_format = "Version {version} ({project_date})"
issue_format = "`#{issue} <https://x/{issue}>`_"
start_string = ".. here\n"
underlines = ["=", "~"]
ignore = ["*.tmp", "NOTES"]
template = "changes/heron.rst.jinja"
[[tool.towncrier.type]]
directory = "api"
name = "API changes"
showcontent = true
[[tool.towncrier.type]]
name = "Fixes"
[[tool.towncrier.type]]
directory = "trivial"
name = "Trivial"
showcontent = false
[[tool.towncrier.section]]
path = ""
[[tool.towncrier.section]]
path = "web"
name = "Web front end"
"##;
    let place = place(&[("pyproject.toml", text)]);
    assert_eq!((place.path.as_str(), place.scope.as_str()), ("docs/changes.rst", ""));
    assert_eq!(typed(&place, "changes/1.api.rst"), ("API changes".to_owned(), None));
    assert_eq!(typed(&place, "changes/web/1.fixes.md"), ("Fixes".to_owned(), Some("Web front end".to_owned())));
    assert_eq!(place.classify(b"changes/1.feature.rst"), PathKind::Stray);
    for kept in ["changes/a.tmp", "changes/NOTES", "changes/heron.rst.jinja", "changes/README.rst"] {
        assert_eq!(place.classify(kept.as_bytes()), PathKind::Kept, "{kept}");
    }
    let towncrier = place.towncrier.unwrap();
    assert_eq!(towncrier.title.as_deref(), Some("Version {version} ({project_date})"));
    assert_eq!(towncrier.start.as_deref(), Some(".. here\n"));
    assert_eq!(
        (towncrier.issues_only, towncrier.underlines),
        (vec!["Trivial".to_owned()], vec!["=".to_owned(), "~".to_owned()])
    );
}

#[test]
fn the_folder_is_in_the_package_where_none_is_said() {
    let of = |text: &str| place(&[("pyproject.toml", text)]).rules.folder.unwrap();
    assert_eq!(of("[tool.towncrier]\npackage = \"a.b\"\n"), "a/b/newsfragments");
    assert_eq!(of("[tool.towncrier]\npackage = \"a\"\npackage_dir = \"src\"\n"), "src/a/newsfragments");
    assert_eq!(of("[tool.towncrier]\npackage_dir = \".\"\npackage = \"a\"\n"), "a/newsfragments");
}

#[test]
fn tables_of_fragments_are_types_too() {
    let text = "[tool.towncrier]\nfilename = \"CHANGELOG.md\"\n[tool.towncrier.fragment.fixed]\n[tool.towncrier.fragment.added]\nname = \"New\"\nshowcontent = false\n";
    let place = place(&[("towncrier.toml", text)]);
    let towncrier = place.towncrier.as_ref().unwrap();
    assert_eq!(
        (towncrier.order.clone(), towncrier.issues_only.clone()),
        (vec!["New".to_owned(), "Fixed".to_owned()], vec!["New".to_owned()])
    );
    assert_eq!(typed(&place, "newsfragments/3.fixed.md").0, "Fixed");
}

#[test]
fn the_template_says_how_a_version_is_headed() {
    let template = "{% if render_title %}\n{% if versiondata.name %}\n# {{ versiondata.name }} v{{ versiondata.version }} - {{ versiondata.date }}\n{% else %}\n# v{{versiondata.version}} - {{versiondata.date}}\n{% endif %}\n{% endif %}\n";
    let text = "[tool.towncrier]\ntemplate = \"t.md\"\nfilename = \"C.md\"\n";
    let title = |settings: &str| place(&[("pyproject.toml", settings), ("t.md", template)]).towncrier.unwrap().title;
    assert_eq!(title(text).as_deref(), Some("# v{version} - {project_date}"));
    assert_eq!(title(&format!("{text}name = \"Heron\"\n")).as_deref(), Some("# {name} v{version} - {project_date}"));
    assert_eq!(title(&format!("{text}title_format = \"{{version}}\"\n")).as_deref(), Some("{version}"));
    assert_eq!(title("[tool.towncrier]\ntemplate = \"towncrier:default\"\n"), None);
    // With brackets, as attrs and others write it, and with another heading for what is not released.
    let template = "{%- if versiondata[\"version\"] == \"main\" -%}\n## Changes for the Upcoming Release\n{% else -%}\n## [{{ versiondata[\"version\"] }}](https://x/tree/{{ versiondata['version'] }}) - {{ versiondata[\"date\"] }}\n{%- endif %}\n";
    let text = format!("{text}name = \"attrs\"\ntitle_format = \"\"\n");
    let title = place(&[("pyproject.toml", &text), ("t.md", template)]).towncrier.unwrap().title;
    assert_eq!(title.as_deref(), Some("## [{version}](https://x/tree/{version}) - {project_date}"));
}

#[test]
fn the_recipe_goes_before_and_towncrier_s_own_file_before_the_project_s() {
    let pyproject = ("pyproject.toml", "[tool.towncrier]\ndirectory = \"py\"\n");
    assert_eq!(
        place(&[pyproject, ("towncrier.toml", "[tool.towncrier]\ndirectory = \"tc\"\n")]).rules.folder.as_deref(),
        Some("tc")
    );
    let fold = place(&[
        pyproject,
        (".bb.toml", "[project]\nfold = \"release\"\n[changelog]\nissue-url = \"https://x/{}\"\n[[builder]]\nx = 1\n"),
    ]);
    assert_eq!(
        (fold.path.as_str(), fold.when, fold.rules.folder.as_deref()),
        ("NEWS.rst", FoldAt::Release, Some("py"))
    );
    let other = place(&[pyproject, (".bb.toml", "[project]\nchangelog = \"ChangeLog\"\n")]);
    assert_eq!(
        (other.path.as_str(), other.towncrier, other.rules.folder.as_deref()),
        ("ChangeLog", None, Some("changelog-fragments"))
    );
    let named =
        place(&[pyproject, (".bb.toml", "[project]\nchangelog = \"NEWS.rst\"\n[changelog]\nfolder = \"mine\"\n")]);
    assert!(named.towncrier.is_some() && named.rules.folder.as_deref() == Some("mine"));
}

#[test]
fn what_is_none_of_bb_s_business_says_nothing() {
    for text in ["[tool.black]\n", "# towncrier\n", "not TOML, but towncrier", "[tool]\ntowncrier = 3\n"] {
        assert_eq!(place(&[("pyproject.toml", text)]).towncrier, None, "{text}");
    }
    // A file for each version is nothing to fold into.
    assert_eq!(place(&[("towncrier.toml", "[tool.towncrier]\nfilename = \"news/{version}.md\"\n")]).towncrier, None);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let wrong = |text: &str| read(&[("pyproject.toml", text)]).unwrap_err().line();
    assert_eq!(
        wrong("[tool.towncrier]\ndirectory = \"../x\"\n"),
        "pyproject.toml:2:13: `directory` is `../x`; expected a path from the repository's root, without `..`"
    );
    assert_eq!(
        wrong("[tool.towncrier]\nfilename = 3\n"),
        "pyproject.toml:2:12: `filename` is the number `3`; expected a string"
    );
}
